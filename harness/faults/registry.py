"""The faults of a stream by name, and how they are put into a script.

A fault is a function script -> script with keyword parameters, known by its name with hyphens.  Each changes what it
has to and keeps the rest, so that faults add up; of two that insert something into the stream the later one wins.
"""

import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias, get_args, get_type_hints

from harness.errors import HarnessError
from harness.faults.toxic import Toxic
from harness.script import GOOD, Close, Finish, Reset, Respond, Script, Send, Silence, Stream, from_json, to_json
from harness.tomlfile import meant
from harness.typed import demand

Fault: TypeAlias = Callable[..., Script]

FAULTS: Final[dict[str, Fault]] = {}
TOXICS: Final = frozenset(get_args(get_type_hints(Toxic)["type"]))
# Those that end or cut a stream: without a number of attempts they hit the live streams, once.
LIVE: Final = frozenset({"rst", "fin", "cut-event", "unfinished-chunk", "broken-chunk", "silence"})


def fault(function: Fault) -> Fault:
    """Register a function script -> script under its own name."""
    FAULTS[function.__name__.replace("_", "-")] = function
    return function


def applied(name: str, script: Script = GOOD, parameters: Mapping[str, Any] | None = None) -> Script:
    """The script with the named fault in it. Raises HarnessError for an unknown name or parameter, or a wrong value."""
    if name in TOXICS:
        raise HarnessError(
            f'{name} is a fault of the network: a step of a scenario, Network("add", Toxic("{name}", ...))'
        )
    if name not in FAULTS:
        raise HarnessError(f"there is no fault {name!r}; {meant(name, FAULTS, 'faults')}")
    given = dict(parameters or {})
    known = [one for one in inspect.signature(FAULTS[name]).parameters if one != "script"]
    if unknown := sorted(set(given) - set(known)):
        raise HarnessError(f"fault {name} does not know {', '.join(unknown)}; known: {', '.join(known) or 'nothing'}")
    kinds = get_type_hints(FAULTS[name])
    for parameter, value in given.items():
        demand(f"{parameter} of fault {name}", value, kinds[parameter])
    try:
        # The way through JSON holds the values of the parameters to what a player can play.
        return from_json(to_json(FAULTS[name](script, **given)))
    except (HarnessError, ValueError) as exc:
        said = ", ".join(f"{parameter}={value!r}" for parameter, value in given.items())
        raise HarnessError(f"fault {name} cannot be played with {said}: {exc}") from exc


def chosen(table: Mapping[str, Any], value: str, what: str) -> Any:
    """What the table has under this value of a parameter. Raises HarnessError."""
    if value not in table:
        raise HarnessError(f"{what} is one of {', '.join(table)}")
    return table[value]


_PARAMETER: Final = re.compile(r'([^=,]+)=("(?:[^"\\]|\\.)*"|[^,]*)(?:,|\Z)')


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Name and parameters of a fault as a command line has them: `status:status=503,retry_after=2`.

    A value is JSON (a number, true, null, text in quotes), anything else is text. Raises HarnessError.
    """
    name, _, rest = text.partition(":")
    found = list(_PARAMETER.finditer(rest))
    if sum(len(one[0]) for one in found) != len(rest):
        raise HarnessError(f"fault {text!r} cannot be read; write NAME or NAME:PARAMETER=VALUE,PARAMETER=VALUE")
    parameters = {one[1].strip(): _value(one[2]) for one in found}
    applied(name, parameters=parameters)
    return name, parameters


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def rest_of(script: Script) -> Script:
    """What of a script is still to be played on a stream that is live: from its first Stream on, else its end."""
    for number, step in enumerate(script):
        if isinstance(step, Stream):
            return script[number:]
    return script[-1:]


# what faults are made of


def until(script: Script, *steps: Stream | Send | Finish | Close | Reset | Silence) -> Script:
    """The script up to its Stream, which takes the new one's end and keeps its own filters; then the new steps."""
    for number, step in enumerate(script):
        if isinstance(step, Stream) and isinstance(steps[0], Stream):
            end = steps[0]
            stream = replace(step, events=end.events, cut=end.cut, cut_bytes=end.cut_bytes)
            return (*script[:number], stream, *steps[1:])
    return script


def through(script: Script, **filters: Any) -> Script:
    """The script with these fields of its Stream."""
    return tuple(replace(step, **filters) if isinstance(step, Stream) else step for step in script)


def answering(script: Script, **fields: Any) -> Script:
    """The script with these fields of the response that is no interim one."""
    return tuple(
        replace(step, **fields) if isinstance(step, Respond) and step.status >= 200 else step for step in script
    )
