"""What is under test and what it promises: data only.

A target file (TOML) describes a server of the user's own; the built-in mock describes itself.  A promise that is
None is not made, and the checks that would judge it are skipped.  What a target file says is checked when it is
read, so that a run never stumbles over it.
"""

import ipaddress
import json
import shlex
import string
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from harness import tomlfile
from harness.tomlfile import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """What the server's owner promises; seconds as float.

    heartbeat: longest silence on an idle stream. max_latency: from commit to dispatch when nothing is wrong.
    replay_events: how many of the latest events a resume can replay. reset_event: type of the event that says that a
    resume is incomplete. limit_per_user: streams of one user. frees_slot_within: after the client has gone.
    kill_switch_within: flag off -> last live stream ended. unauthorized: statuses for a missing or bad token.
    token_expiry_within: how long after its token's expiry a live stream may still run.
    restart_keeps_replay: a graceful restart loses nothing. schemas: JSON Schema of the data, by event type.
    """

    heartbeat: float | None = None
    max_latency: float | None = None
    replay_events: int | None = None
    reset_event: str | None = "reset"
    limit_per_user: int | None = None
    frees_slot_within: float | None = None
    kill_switch_within: float | None = None
    unauthorized: tuple[int, ...] = (401, 403)
    token_expiry_within: float | None = None
    restart_keeps_replay: bool = False
    schemas: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> "Promises":
        """The promises that the header of a history carries; unknown names are ignored."""
        known = {one.name for one in fields(cls)}
        plain = {name: value for name, value in header.get("promises", {}).items() if name in known}
        if "unauthorized" in plain:
            plain["unauthorized"] = tuple(plain["unauthorized"])
        return cls(**plain)


# The stream's REST twins: the same events polled (events?after=ID), the dashboard, for whom the flag is on.
TWINS: Final = ("events", "dashboard", "flags")

# What each hook does, and the fields that it gets: as JSON by POST, or as {placeholders} of a command.
HOOKS: Final[Mapping[str, tuple[str, ...]]] = {
    "publish": ("user", "type", "data"),
    "restart": ("how", "down"),
    "flag": ("enabled",),
    "rollout": ("percent",),
    "drop": ("how",),
    "stats": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Where tokens come from and how a request carries them.

    known: token by user, from the list or the file. command: prints a token; {user} and {ttl} (seconds) are replaced.
    how: "bearer", "query" (access_token=) or "cookie:NAME".
    """

    known: Mapping[str, str] = field(default_factory=dict, repr=False)
    command: str | None = None
    how: str = "bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server under test, as its target file describes it.

    artefact: what names the build under test, so that a later stage can be held to the same one.
    hooks: a URL or a command by name. rest: URLs of the stream's REST twins by name.
    hook_token_env: the environment variable with the hooks' bearer token.
    ca_file: certificates to trust instead of the system's. folder: where commands run and relative paths start.
    """

    name: str
    url: str
    artefact: str = ""
    folder: Path = Path()
    allow_remote: bool = False
    ca_file: Path | None = None
    tokens: Tokens = field(default_factory=Tokens)
    hooks: Mapping[str, str] = field(default_factory=dict)
    rest: Mapping[str, str] = field(default_factory=dict)
    hook_token_env: str | None = None
    promises: Promises = field(default_factory=Promises)

    @property
    def capabilities(self) -> frozenset[str]:
        """What scenarios may need of this target: its hooks by name, auth, mint, limit, replay, heartbeat, rest."""
        offers = {
            "auth": self.tokens.known or self.tokens.command,
            "mint": self.tokens.command,
            "limit": self.promises.limit_per_user,
            "replay": self.promises.replay_events,
            "heartbeat": self.promises.heartbeat,
            "rest": "events" in self.rest and "dashboard" in self.rest,
        }
        return frozenset(self.hooks) | {name for name, offered in offers.items() if offered}


def load_target(path: Path) -> Target:
    """The target that a file describes; raises HarnessError with one sentence for whatever is wrong with it."""
    top = tomlfile.read(path, "give the path of a target file, or none to test the built-in mock")
    top.only(
        (
            "name",
            "url",
            "artefact",
            "allow_remote",
            "ca_file",
            "tokens",
            "hooks",
            "rest",
            "hook_token_env",
            "promises",
            "schemas",
        )
    )
    remote = top.get("allow_remote", bool, False)
    return Target(
        name=top.get("name", str, path.stem),
        url=_url(top, "url", top.need("url", str), remote),
        artefact=top.get("artefact", str, ""),
        folder=path.parent.resolve(),
        allow_remote=remote,
        ca_file=_ca_file(top, path.parent),
        tokens=_tokens(top.table("tokens", ("list", "file", "command", "how")), path.parent),
        hooks=_hooks(top.table("hooks", HOOKS), remote),
        rest=_rest(top.table("rest", TWINS), remote),
        hook_token_env=top.maybe("hook_token_env", str),
        promises=_promises(top, path.parent),
    )


def _url(table: Table, name: str, url: str, remote: bool) -> str:
    if not url.isprintable():
        raise table.fault(f"{name!r} has a line end or another control character in it; take it out")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise table.fault(f"{name!r} is no URL ({exc}); write it like http://127.0.0.1:8000/path") from exc
    if parts.scheme not in ("http", "https") or not host:
        raise table.fault(f"{name!r} needs a scheme and a host; write it like http://127.0.0.1:8000/path")
    if parts.username is not None:
        raise table.fault(f"{name!r} carries a user or password; use [tokens] or hook_token_env instead")
    if not remote and not is_loopback(host):
        raise table.fault(f"{name!r} leads to {host}, which is not this machine; set allow_remote = true if it may")
    return url


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine by its very form."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _ca_file(table: Table, folder: Path) -> Path | None:
    name = table.maybe("ca_file", str)
    if name is None:
        return None
    path = (folder / name).resolve()
    if not path.is_file():
        raise table.fault(f"'ca_file' leads to {path}, which does not exist; mend the path")
    return path


def _tokens(table: Table, folder: Path) -> Tokens:
    sources = [name for name in ("list", "file", "command") if name in table.data]
    if len(sources) > 1:
        raise table.fault(f"{' and '.join(sources)} exclude each other; keep one of them")
    how = table.get("how", str, "bearer")
    if how not in ("bearer", "query") and not (how.startswith("cookie:") and how.removeprefix("cookie:").strip()):
        raise table.fault(f"'how' is {how!r}; write bearer, query or cookie:NAME")
    command = table.maybe("command", str)
    if command is not None:
        _command(table, "command", command, ("user", "ttl"))
    return Tokens(known=_listed(table) or _from_file(table, folder), command=command, how=how)


def _listed(table: Table) -> Mapping[str, str]:
    listed = table.table("list")
    if "list" in table.data and not listed.data:
        raise table.fault("'list' is empty; give a token by user, or leave [tokens] out if there is no auth")
    return {user: _token(listed, user, listed.need(user, str)) for user in listed.data}


def _from_file(table: Table, folder: Path) -> Mapping[str, str]:
    name = table.maybe("file", str)
    if name is None:
        return {}
    path = (folder / name).resolve()
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise table.fault(f"'file' leads to {path}, which cannot be read; write lines of user and token there") from exc
    known = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            user, _, token = line.strip().partition(" ")
            known[user] = _token(table, f"{path.name} line {number}", token.strip())
    if not known:
        raise table.fault(f"'file' leads to {path}, which holds no token; write lines of user and token there")
    return known


def _token(table: Table, name: str, token: str) -> str:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise table.fault(f"{name!r} is no token that a header can carry; give ASCII without blanks")
    return token


def _hooks(table: Table, remote: bool) -> Mapping[str, str]:
    hooks = {name: table.need(name, str) for name in table.data}
    for name, hook in hooks.items():
        if name == "stats" or urlsplit(hook).scheme in ("http", "https"):
            _url(table, name, hook, remote)
        else:
            _command(table, name, hook, HOOKS[name])
    return hooks


def _rest(table: Table, remote: bool) -> Mapping[str, str]:
    return {name: _url(table, name, table.need(name, str), remote) for name in table.data}


def _command(table: Table, name: str, command: str, placeholders: Collection[str]) -> None:
    """Refuse what cannot be split into words or has placeholders that nobody fills."""
    try:
        words = shlex.split(command)
        used = {one for word in words for _, one, _, _ in string.Formatter().parse(word) if one is not None}
    except ValueError as exc:
        raise table.fault(f"{name!r} is no command ({exc}); mend its quotes, and double braces that are meant") from exc
    if not words:
        raise table.fault(f"{name!r} is empty; give a command or leave it out")
    if strange := sorted(used - set(placeholders)):
        raise table.fault(f"{name!r} has no placeholder {{{strange[0]}}}; it has {', '.join(placeholders)}")


def _promises(top: Table, folder: Path) -> Promises:
    table = top.table("promises", [one.name for one in fields(Promises) if one.name != "schemas"])
    made: dict[str, Any] = {name: _promise(table, name) for name in table.data}
    return Promises(**made, schemas=_schemas(top.table("schemas"), folder))


def _promise(table: Table, name: str) -> Any:
    """A promise's value: a positive number, true or false, statuses, or a type of events ("" = not promised)."""
    match name:
        case "unauthorized":
            statuses = table.get(name, list, [])
            if not statuses or not all(type(one) is int and 300 <= one <= 599 for one in statuses):
                raise table.fault(f"{name!r} is {statuses!r}; give a list of statuses such as [401, 403]")
            return tuple(statuses)
        case "reset_event":
            return table.need(name, str) or None
        case "restart_keeps_replay":
            return table.need(name, bool)
        case "replay_events" | "limit_per_user":
            value: float = table.need(name, int)
        case _:
            value = table.need(name, float)
    if not 0 < value < 1e9:
        raise table.fault(f"{name!r} is {value}; give a number above 0, or leave it out if it is not promised")
    return value


def _schemas(table: Table, folder: Path) -> Mapping[str, Any]:
    return {kind: _schema(table, kind, folder / table.need(kind, str)) for kind in table.data}


def _schema(table: Table, kind: str, path: Path) -> Any:
    from jsonschema import Draft202012Validator, SchemaError  # 60 ms that only a target with schemas pays

    try:
        schema = json.loads(path.read_bytes())
        Draft202012Validator.check_schema(schema)
    except OSError as exc:
        raise table.fault(f"{kind!r} leads to {path}, which cannot be read; mend the path") from exc
    except (ValueError, RecursionError) as exc:
        raise table.fault(f"{kind!r} leads to {path}, which is no JSON; mend that file") from exc
    except SchemaError as exc:
        raise table.fault(f"{kind!r} leads to {path}, which is no JSON Schema ({exc.message}); mend it") from exc
    return schema
