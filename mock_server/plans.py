"""What the next connection attempts will be played: scripts and faults that wait for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from harness import faults, script
from harness.errors import HarnessError
from harness.script import GOOD, Script
from mock_server.effects import Effect, Effects, Player

MOST: Final = 10_000


@dataclass(slots=True)
class Plan:
    """A script, or a fault by name, for the next `left` attempts (None: all) of one subscriber (None: any).

    `effect` is what it counts as while it waits or is played; a `kept` one survives a reset.
    """

    sub: str | None
    left: int | None
    script: Script | None = None
    fault: str = ""
    parameters: Mapping[str, Any] | None = None
    kept: bool = False
    effect: Effect | None = field(default=None, compare=False)

    def fits(self, sub: str | None) -> bool:
        return self.left != 0 and self.sub in (None, sub)


class Plans:
    """Scripts are played in the order they came, those for this subscriber first; every fault that fits is added."""

    def __init__(self, effects: Effects | None = None) -> None:
        self.scripts: list[Plan] = []
        self.faults: list[Plan] = []
        self._effects = Effects(lambda name, kept: None) if effects is None else effects

    def add_scripts(self, scripts: Sequence[Script], *, sub: str | None, attempts: int | None) -> None:
        """Each of these scripts for so many attempts (None: the last one for all that follow, the others for one)."""
        self._demand(len(scripts), attempts)
        for number, one in enumerate(scripts, 1):
            left = attempts if attempts is not None or number == len(scripts) else 1
            self.scripts.append(Plan(sub, left, script=one, effect=self._effects.begin("script")))

    def add_fault(
        self, name: str, parameters: Mapping[str, Any], *, sub: str | None, attempts: int | None, kept: bool = False
    ) -> Effect:
        """This fault for so many attempts (None: all). Raises HarnessError for an unknown name or parameter."""
        self._demand(1, attempts)
        faults.applied(name, GOOD, parameters)
        effect = self._effects.begin(name, kept=kept)
        self.faults.append(Plan(sub, attempts, fault=name, parameters=dict(parameters), kept=kept, effect=effect))
        return effect

    def remove_fault(self, name: str | None, sub: str | None = None) -> list[Effect]:
        """Forget the faults of this name (None: all), for one subscriber or all; returns what they were doing."""
        gone = [one for one in self.faults if name in (None, one.fault) and sub in (None, one.sub)]
        self.faults = [one for one in self.faults if one not in gone]
        return [one.effect for one in gone if one.effect is not None]

    def clear(self) -> None:
        """Forget everything that is not kept."""
        self.scripts.clear()
        self.faults = [one for one in self.faults if one.kept]

    def choose(self, sub: str | None) -> tuple[Script, list[Plan]]:
        """The script of this subscriber's next attempt, and the plans that `use` has to count down."""
        fitting = [one for one in self.scripts if one.fits(sub)]
        used = sorted(fitting, key=lambda one: one.sub is None)[:1]
        played = used[0].script if used else None
        chosen: Script = GOOD if played is None else played
        for one in self.faults:
            if one.fits(sub):
                chosen = faults.applied(one.fault, chosen, one.parameters)
                used.append(one)
        return chosen, used

    def use(self, plans: Sequence[Plan], stream: Player | None = None) -> None:
        """These plans are played once, by this stream."""
        for one in plans:
            if one.left is not None:
                one.left -= 1
            if one.effect is not None and stream is not None:
                self._effects.play(one.effect, stream)
            if one.effect is not None and one.left == 0:
                self._effects.stop(one.effect)
        self.scripts = [one for one in self.scripts if one.left != 0]
        self.faults = [one for one in self.faults if one.left != 0]

    def save(self) -> list[dict[str, Any]]:
        """The plans as plain JSON, for the next incarnation."""
        return [
            {
                "sub": one.sub,
                "left": one.left,
                "script": None if one.script is None else script.to_json(one.script),
                "fault": one.fault,
                "parameters": one.parameters,
                "kept": one.kept,
            }
            for one in (*self.scripts, *self.faults)
        ]

    def restore(self, saved: Sequence[Mapping[str, Any]]) -> None:
        """Take these plans in the place of all."""
        for old in (*self.scripts, *self.faults):
            if old.effect is not None:
                self._effects.forget(old.effect)
        self.scripts, self.faults = [], []
        for one in saved:
            played = None if one["script"] is None else script.from_json(one["script"])
            effect = self._effects.begin(one["fault"] or "script", kept=one["kept"])
            plan = Plan(one["sub"], one["left"], played, one["fault"], one["parameters"], one["kept"], effect)
            (self.scripts if played is not None else self.faults).append(plan)

    def _demand(self, more: int, attempts: int | None) -> None:
        if len(self.scripts) + len(self.faults) + more > MOST:
            raise HarnessError(f"more than {MOST} scripts and faults wait already; reset the mock server")
        if attempts is not None and not (isinstance(attempts, int) and 1 <= attempts <= 1_000_000):
            raise HarnessError(f"attempts is a whole number from 1, or null for all, not {attempts!r}")
