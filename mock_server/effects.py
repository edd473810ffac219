"""Which faults are under way: each from its order on until nothing waits for it and no connection plays it any more.

A fault of the settings (`kept`) lasts as long as the server and is never an excuse; any other goes with a reset.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol


class Player(Protocol):
    """A stream, by itself and not by what it holds."""

    def mend(self) -> None: ...


@dataclass(eq=False, slots=True)
class Effect:
    """One order: `waiting` for connection attempts, or played by these streams, or both."""

    name: str
    kept: bool = False
    waiting: bool = True
    players: set[Player] = field(default_factory=set)

    @property
    def over(self) -> bool:
        return not self.waiting and not self.players


class Effects:
    """The effects under way; `ended` hears name and `kept` when the last effect of a name is over."""

    def __init__(self, ended: Callable[[str, bool], None]) -> None:
        self._ended = ended
        self._active: dict[Effect, None] = {}
        self._played: dict[Player, set[Effect]] = {}

    def begin(self, name: str, *, kept: bool = False, waiting: bool = True) -> Effect:
        effect = Effect(name, kept, waiting)
        self._active[effect] = None
        return effect

    def play(self, effect: Effect, stream: Player) -> None:
        """This stream plays it until it is gone."""
        effect.players.add(stream)
        self._played.setdefault(stream, set()).add(effect)

    def leave(self, effect: Effect, stream: Player) -> None:
        """This stream goes on without it."""
        effect.players.discard(stream)
        self._played.get(stream, set()).discard(effect)

    def gone(self, stream: Player) -> None:
        for effect in self._played.pop(stream, ()):
            effect.players.discard(stream)
            self.settle(effect)

    def stop(self, effect: Effect) -> None:
        """Nothing waits for it any more."""
        effect.waiting = False
        self.settle(effect)

    def settle(self, effect: Effect) -> None:
        """Tell that an effect is over, if it is, unless another one of its name is not."""
        if effect.over and effect in self._active:
            del self._active[effect]
            if not any((one.name, one.kept) == (effect.name, effect.kept) for one in self._active):
                self._ended(effect.name, effect.kept)

    def played(self, name: str | None) -> list[Effect]:
        """The effects of this name (None: all) that only streams still play."""
        return [one for one in self._active if name in (None, one.name) and not one.waiting]

    def forget(self, effect: Effect) -> None:
        self._active.pop(effect, None)

    def clear(self) -> list[Player]:
        """Forget every effect that is not kept; returns the streams that played only such, which have to be mended."""
        for effect in [one for one in self._active if not one.kept]:
            del self._active[effect]
            effect.waiting = False
        return [one for one, effects in self._played.items() if not any(effect.kept for effect in effects)]
