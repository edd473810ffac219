"""The public names, and versioned: what a scenario, a check and a client of the user's own are written with.

They are loaded when they are asked for, so that `import harness` costs next to nothing.  `check` alone is loaded at
once: a submodule has the same name, and whoever imported that first would otherwise decide what `check` means.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from harness.check import check

if TYPE_CHECKING:
    from harness.check import Finding, failed, passed, skipped, unknown
    from harness.clients import Session
    from harness.errors import HarnessError
    from harness.faults import Toxic
    from harness.history import History, Record
    from harness.scenario import (
        AwaitOpen,
        Burst,
        Churn,
        Close,
        Drop,
        Flag,
        Meter,
        Network,
        Open,
        Probe,
        Restart,
        Scenario,
        StreamFault,
        Wait,
    )

__all__ = (
    "AwaitOpen", "Burst", "Churn", "Close", "Drop", "Finding", "Flag", "HarnessError", "History", "Meter", "Network",
    "Open", "Probe", "Record", "Restart", "Scenario", "Session", "StreamFault", "Toxic", "Wait", "check", "failed",
    "passed", "skipped", "unknown",
)  # fmt: skip

_HOMES: Final = {
    "check": ("Finding", "failed", "passed", "skipped", "unknown"),
    "clients": ("Session",),
    "errors": ("HarnessError",),
    "faults": ("Toxic",),
    "history": ("History", "Record"),
    "scenario": (
        "AwaitOpen", "Burst", "Churn", "Close", "Drop", "Flag", "Meter", "Network", "Open", "Probe", "Restart",
        "Scenario", "StreamFault", "Wait",
    ),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"harness.{home}"), name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
