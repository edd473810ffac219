"""A fault of the network as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.typed import demand_fields


@dataclass(frozen=True, slots=True)
class Toxic:
    """A network fault in Toxiproxy's words: type, stream, toxicity (0..1) and the type's own attributes.

    Attributes are Toxiproxy's: milliseconds, KB/s, bytes or microseconds, as its documentation has them.
    Raises HarnessError for a value of another type.
    """

    type: Literal["latency", "bandwidth", "timeout", "reset_peer", "slicer", "limit_data"]
    attributes: Mapping[str, float] = field(default_factory=dict)
    stream: Literal["downstream", "upstream"] = "downstream"
    toxicity: float = 1.0

    def __post_init__(self) -> None:
        demand_fields(self)

    @property
    def name(self) -> str:
        return f"{self.type}_{self.stream}"
