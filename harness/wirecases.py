"""The selftest's table of wire faults: what each is played with, and which alarms it has to ring, if any. Data.

A fault that is `survived` rings nothing: a good client gets over it, and what the server does is either allowed or
no more than any broken path does.  All of these share the runs of the scenarios `wire_allowed` and `wire_broken`, each
fault at a subscriber of its own.  Any other breaks a promise: it has a run of the scenario `wire_fault` to itself, in
which it is a setting of the mock, so that nothing excuses it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

TWICE: Final = "delivery.nothing_twice"
LOST: Final = "delivery.nothing_lost"
ORDER: Final = "delivery.in_order"


@dataclass(frozen=True, slots=True, kw_only=True)
class WireCase:
    """One fault of the wire with its parameters, and what comes of it.

    expect: "allowed" (nobody may be accused), "broken" (the path is; a client gets over it), "alarm" (`must` have to be
    FAIL, `may` can be FAIL or UNKNOWN). attempts: of how many connection attempts (None: all). end: the stream ends
    once so many events have come, so that the client has to come back with what the fault left behind; `ends` times.
    first: a fault of the first attempt alone, and its parameters.
    """

    name: str
    fault: str
    expect: Literal["allowed", "broken", "alarm"]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    attempts: int | None = None
    end: int | None = None
    ends: int = 1
    first: tuple[str, Mapping[str, Any]] | None = None
    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    scenario: str = "wire_fault"

    def faults(self, sub: str | None = None) -> list[dict[str, Any]]:
        """What the mock's setting `faults` is for this case, perhaps for one subscriber."""
        own = {"name": self.fault, "parameters": dict(self.parameters), "attempts": self.attempts, "sub": sub}
        faults = [own]
        if self.first is not None:
            name, parameters = self.first
            faults.append({"name": name, "parameters": dict(parameters), "attempts": 1, "sub": sub})
        if self.end is not None:
            faults.append({"name": "fin", "parameters": {"events": self.end}, "attempts": self.ends, "sub": sub})
        return faults


def _bom(kind: str) -> WireCase:
    """The first stream brings a `retry` of 0, so that a client to which a BOM hides the next one comes too early."""
    first = ("retry", {"value": "0", "events": 2})
    return WireCase(
        name=f"bom:kind={kind}", fault="bom", expect="allowed", parameters={"kind": kind}, end=3, ends=2, first=first
    )


def _allowed(fault: str, *, attempts: int | None = None, end: int | None = None, **parameters: Any) -> WireCase:
    name = _name(fault, parameters)
    return WireCase(name=name, fault=fault, expect="allowed", parameters=parameters, attempts=attempts, end=end)


def _broken(fault: str, *, attempts: int | None = 1, **parameters: Any) -> WireCase:
    return WireCase(
        name=_name(fault, parameters), fault=fault, expect="broken", parameters=parameters, attempts=attempts
    )


def _alarm(
    fault: str, must: Sequence[str], may: Sequence[str] = (), *, end: int | None = None, **parameters: Any
) -> WireCase:
    return WireCase(
        name=_name(fault, parameters), fault=fault, expect="alarm", parameters=parameters, end=end,
        must=tuple(must), may=tuple(may),
    )  # fmt: skip


def _name(fault: str, parameters: Mapping[str, Any]) -> str:
    told = ",".join(f"{name}={str(value).encode('unicode_escape').decode()}" for name, value in parameters.items())
    return f"{fault}:{told}" if told else fault


CASES: Final[tuple[WireCase, ...]] = (
    # the standard allows it, or tells a client what to make of it; first what bad clients of the selftest get wrong:
    # each of these is tried with the first few alone
    *(_bom(kind) for kind in ("whole", "split", "twice")),
    *(_allowed("retry", value=value, events=2, end=3) for value in ("", "-1", "0.5", "0", " 300", "3e2", "\u0663")),
    # Longer than the first one of the stream, so that a client which takes that alone comes too early.
    _allowed("retry", value="1500", events=2, end=3),
    _allowed("retry", value="9" * 30, events=2),
    *(_allowed("id", value=value, events=3, end=3) for value in ("ünï-☃", " blanks ", "\ta")),
    _allowed("id", value="long-", length=4000, events=3, end=3),
    _allowed("id", value="", events=3, end=3),
    *(_allowed("redirect", status=status, to="absolute") for status in (301, 302, 303, 307, 308)),
    _allowed("redirect", status=302, to="path", hops=3),
    _allowed("redirect", status=307, to="relative"),
    _allowed("content-type", value="Text/Event-Stream ; charset=utf-8"),
    _allowed("status", status=103),
    _allowed("slow-headers", seconds=0.8),
    _allowed("http-1-0"),
    _allowed("close-delimited"),
    _allowed("gzip"),
    *(_allowed("line-ends", ends=ends) for ends in ("cr", "crlf", "mixed", "split")),
    _allowed("giant", size=100_000),
    # the path breaks, and a client comes back for the rest
    *(_broken("rst", bytes=count) for count in (0, 7, 100, 333)),
    *(_broken("fin", bytes=count, clean=clean) for count, clean in ((0, True), (1, False), (200, False), (467, True))),
    _broken("rst", events=2),
    _broken("fin", events=2, clean=False),
    *(_broken("cut-event", at=at, how=how) for at, how in (("after-id", "rst"), ("inside-data", "fin"))),
    _broken("cut-head", bytes=20, how="fin"),
    _broken("cut-head", bytes=60, how="rst"),
    _broken("unfinished-chunk", events=1),
    *(
        _broken("broken-chunk", kind=kind, events=1)
        for kind in ("not-hex", "no-size", "negative", "too-long", "no-line-end")
    ),
    _broken("content-length", length=1_000_000, events=2),
    _broken("content-length", length=700, events=None),
    _broken("dribble", seconds=0.0005),
    _broken("silence", events=2),
    _broken("status", status=503, retry_after=1),
    _broken("status", status=500),
    _broken("status", status=429, retry_after=1),
    _broken("redirect", to="missing", hops=None),
    _broken("redirect", to="invalid", hops=None),
    _broken("redirect", to="absolute", hops=None, attempts=21),
    # a promise is broken
    _alarm("duplicate", (TWICE,), (ORDER,)),
    _alarm("reorder", (ORDER,), (LOST, "lag.live")),
    _alarm("omit", (LOST,), ("lag.live",)),
    _alarm("foreign", ("security.own_events",)),
    _alarm("phantom", ("delivery.no_phantom",), (ORDER, TWICE)),
    _alarm("invalid-utf8", ("security.framing",), where="data"),
    _alarm("invalid-utf8", ("security.framing",), where="comment"),
    _alarm("id", ("security.framing",), value="a\0b", events=1),
    _alarm("content-type", ("response.stream_head",), (LOST,), value="text/plain"),
    _alarm("content-type", ("response.stream_head",), (LOST,), value=None),
    _alarm("buffer", ("lag.live",), ("heartbeat.cadence", "heartbeat.deadline", LOST), seconds=2.0),
    _alarm("slow-headers", ("response.prompt",), ("lag.live", "heartbeat.cadence", LOST), seconds=4.0),
    _alarm("silence", ("heartbeat.cadence",), ("lag.live", LOST), events=3),
    _alarm("giant", ("reconnection.happens", "reconnection.survives"), (LOST,), size=300_000, events=1),
)


def of(expect: Literal["allowed", "broken", "alarm"]) -> tuple[WireCase, ...]:
    """The cases of which this is expected, in the order of the table."""
    return tuple(one for one in CASES if one.expect == expect)


@dataclass(frozen=True, slots=True)
class Packed:
    """Cases of alarms that share a run, each at a subscriber of its own: no two of them can ring the same alarm."""

    cases: tuple[WireCase, ...]
    scenario: str = "wire_fault"

    @property
    def name(self) -> str:
        return " + ".join(case.name for case in self.cases)

    @property
    def must(self) -> tuple[str, ...]:
        return tuple(check for case in self.cases for check in case.must)

    @property
    def may(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(check for case in self.cases for check in case.may))

    @property
    def users(self) -> int:
        return max(2, len(self.cases))

    @property
    def settings(self) -> dict[str, Any]:
        """The mock's settings of the run."""
        return {"faults": [one for number, case in enumerate(self.cases) for one in case.faults(f"u{number}-0")]}

    def takes(self, case: WireCase) -> bool:
        """Whether an alarm that rings would still say which case rang it."""
        return not {*self.must, *self.may} & {*case.must} and not {*self.must} & {*case.may}


def packed() -> tuple[Packed, ...]:
    """All alarms in as few runs as they fit into, first come, first served."""
    groups: list[Packed] = []
    for case in of("alarm"):
        at = next((number for number, one in enumerate(groups) if one.takes(case)), None)
        if at is None:
            groups.append(Packed((case,)))
        else:
            groups[at] = Packed((*groups[at].cases, case))
    return tuple(groups)
