"""Settings of the mock server, and what it promises with them. Seconds as float; `_ms` where the wire says so."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal

from harness.defects import DEFECTS as MATRIX
from harness.errors import HarnessError
from harness.faults import applied
from harness.target import Promises
from mock_server.defects import DEFECTS
from mock_server.schemas import SCHEMAS


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the mock server behaves.

    heartbeat: seconds between heartbeat comments. retry_ms: the `retry` field. replay_events: how many of the latest
    events are kept for a resume. limit_per_user: streams of one user; retry_after: seconds in the 429.
    write_timeout: how long a peer may not read while its send buffer is full. send_buffer: SO_SNDBUF in bytes.
    queue_events: events kept for a reader that is slower than they come. throttle: events per second per connection.
    max_lifetime: seconds after which a stream ends. kill_switch_within: promise for the flag. token_expiry_within:
    promise for a stream whose token expires. enabled: the flag. token_ttl: of a minted token. history_events: whether
    each event sent is a record. loop: the event loop. cors_origins: whose pages may read, beside those of this machine.
    faults: let loose from the start and until the end, each an object with `name` and perhaps `parameters`, `attempts`
    (connection attempts that it hits; null: all) and `sub` (one subscriber's); what they do is judged, never excused.
    """

    heartbeat: float = 30.0
    retry_ms: int = 3000
    replay_events: int = 1000
    limit_per_user: int = 5
    retry_after: int = 1
    write_timeout: float = 10.0
    send_buffer: int = 65536
    queue_events: int = 1000
    throttle: float | None = None
    max_lifetime: float | None = None
    kill_switch_within: float = 5.0
    token_expiry_within: float = 2.0
    enabled: bool = True
    token_ttl: float = 3600.0
    cors_origins: tuple[str, ...] = ()
    history_events: bool = True
    defects: tuple[str, ...] = ()
    faults: tuple[Mapping[str, Any], ...] = ()
    loop: Literal["auto", "uvloop", "asyncio"] = "auto"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


_WHOLE: Final = ("retry_ms", "replay_events", "limit_per_user", "retry_after", "send_buffer", "queue_events")
_SECONDS: Final = ("heartbeat", "write_timeout", "kill_switch_within", "token_expiry_within", "token_ttl")
_OPTIONAL: Final = ("throttle", "max_lifetime")
_FLAGS: Final = ("enabled", "history_events")
_LISTS: Final = ("cors_origins", "defects")
# As a browser sends it (https://fetch.spec.whatwg.org/#origin-header): no path, no user.
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?")


def load_settings(*given: Mapping[str, Any] | str) -> Settings:
    """Settings from mappings, JSON texts and paths of JSON files, a later one over an earlier. Raises HarnessError."""
    merged: dict[str, Any] = {}
    for one in given:
        merged |= _read(one) if isinstance(one, str) else one
    known = [one.name for one in fields(Settings)]
    if unknown := sorted(set(merged) - set(known)):
        raise HarnessError(f"the mock server has no setting {', '.join(map(repr, unknown))}; known: {', '.join(known)}")
    for name, value in merged.items():
        if wrong := _wrong(name, value):
            raise HarnessError(f"setting {name} of the mock server must be {wrong}, not {value!r}")
    for name in _LISTS:
        if name in merged:
            merged[name] = tuple(merged[name])
    for defect in merged.get("defects", ()):
        _demand_defect(defect)
    for origin in merged.get("cors_origins", ()):
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise HarnessError(f"{origin!r} is no origin of a page; write it like https://page.example")
    if "faults" in merged:
        merged["faults"] = tuple(_fault(one) for one in merged["faults"])
    return Settings(**merged)


def promises(settings: Settings) -> Promises:
    """What a mock server with these settings promises; its defects are not among them."""
    return Promises(
        heartbeat=settings.heartbeat,
        max_latency=1.0,
        replay_events=settings.replay_events,
        reset_event="reset",
        limit_per_user=settings.limit_per_user,
        frees_slot_within=1.0,
        kill_switch_within=settings.kill_switch_within,
        unauthorized=(401,),
        token_expiry_within=settings.token_expiry_within,
        restart_keeps_replay=True,
        schemas=SCHEMAS,
    )


def _read(text: str) -> Mapping[str, Any]:
    source = "the given JSON" if text.lstrip().startswith("{") else text
    try:
        plain = json.loads(text if source != text else Path(text).read_text("utf-8"))
    except OSError as exc:
        raise HarnessError(f"settings {text} cannot be read ({exc.strerror}); give JSON or a path to a file") from exc
    except ValueError as exc:
        raise HarnessError(f"settings in {source} are no JSON ({exc}); mend them") from exc
    if not isinstance(plain, dict):
        raise HarnessError(f"settings in {source} are no JSON object; give one")
    return plain


_FAULT: Final[Mapping[str, Any]] = {"name": "", "parameters": {}, "attempts": None, "sub": None}


def _fault(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """One fault of the settings with everything it may say. Raises HarnessError."""
    if unknown := sorted(set(given) - set(_FAULT)):
        raise HarnessError(f"a fault of the settings does not know {', '.join(unknown)}; known: {', '.join(_FAULT)}")
    one = {**_FAULT, **given}
    if not isinstance(one["parameters"], Mapping):
        raise HarnessError("`parameters` of a fault of the settings is an object")
    applied(str(one["name"]), parameters=one["parameters"])
    return one


def _demand_defect(name: str) -> None:
    """Raises HarnessError for what is no switch of the mock."""
    client = next((one for one in MATRIX if one.subject == "client" and one.name == name), None)
    if client is not None:
        how = f"--client harness.clients.faulty:{client.attribute}"
        raise HarnessError(f"{name} is a bad client, no defect of the mock; give it as {how}")
    if name not in DEFECTS:
        near = get_close_matches(name, DEFECTS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "see `sse-harness list defects`"
        raise HarnessError(f"there is no defect {name!r} of the mock; {hint}")


def _wrong(name: str, value: Any) -> str | None:
    """What the value should have been, if it is not."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in _WHOLE and not (isinstance(value, int) and number and value >= 0):
        return "a whole number, 0 or more"
    if name in _SECONDS and not (number and 0 < value < 1e8):
        return "a number of seconds, more than 0"
    if name in _OPTIONAL and not (value is None or (number and 0 < value < 1e8)):
        return "a number, more than 0, or null"
    if name in _FLAGS and not isinstance(value, bool):
        return "true or false"
    if name in _LISTS and (isinstance(value, str) or not all(isinstance(one, str) for one in value)):
        return "a list of strings"
    if name == "faults" and (isinstance(value, str) or not all(isinstance(one, Mapping) for one in value)):
        return "a list of objects"
    if name == "loop" and value not in ("auto", "uvloop", "asyncio"):
        return "auto, uvloop or asyncio"
    return None
