"""How a worker's clock stands to the master's: measured, for the wall clock of another machine may be wrong.

Theory (Cristian's algorithm).  A worker asks for the master's monotonic clock.  The answer was made at some moment
between question and answer, so that it is right to within half the time that both took; the quickest of several answers
is believed.  Processes of one boot share the monotonic clock, and there is nothing to measure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from harness import meters

ROUNDS: Final = 5
UNMEASURED: Final = 3600.0  # seconds; no check has a bound that wide


@dataclass(frozen=True, slots=True)
class Clock:
    """`shift` seconds are to be added to this process's monotonic clock for the master's; `error`: or so many less."""

    shift: float = 0.0
    error: float = 0.0

    def header(self, role: str, offset: float) -> dict[str, Any]:
        """The header of this process's part of a history; `offset` is the master's wall clock minus its monotonic."""
        own = meters.identity(role)
        return {**own, "wall": own["mono"] + self.shift + offset, "wall_error": self.error}


def measured(ask: Callable[[], Mapping[str, Any] | None]) -> Clock:
    """Ask the master who it is and what time (`meters.identity`; None: no answer), and believe the quickest answer."""
    best = Clock(error=UNMEASURED)
    for _ in range(ROUNDS):
        asked = meters.identity("")
        told = ask()
        answered = meters.identity("")
        if told is None:
            continue
        if told["boot"] == answered["boot"]:
            return Clock()
        found = Clock(told["mono"] - (asked["mono"] + answered["mono"]) / 2, (answered["mono"] - asked["mono"]) / 2)
        best = min(best, found, key=lambda one: one.error)
    return best
