"""Between a frame and one connection: the bounded queue of a slow or throttled reader, and the filters of a script.

No I/O; time is an argument.  A connection that keeps up and is not filtered has neither.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from harness.script import Stream
from mock_server.frames import Frame


class Dropped(NamedTuple):
    """So many events were dropped: those after the one id and before the other."""

    lost: int
    after: str
    before: str


class Lane:
    """A queue of at most `bound` events, its oldest dropped first, and `throttle` events per second out of it."""

    def __init__(self, bound: int, throttle: float | None, last_id: str) -> None:
        self.bound = bound
        self._apart = 1 / throttle if throttle else 0.0
        self._last_id = last_id
        self._frames: deque[Frame] = deque()
        self._dropped = 0
        self._next = 0.0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def needless(self) -> bool:
        """Whether nothing would be lost with this lane."""
        return not self._frames and not self._apart and not self._dropped

    def replay(self, frames: Iterable[Frame]) -> None:
        """Queue a replay, which nothing is dropped from: the bound makes room for it."""
        self._frames.extend(frames)
        self.bound += len(self._frames)

    def push(self, frame: Frame) -> None:
        self._frames.append(frame)
        if len(self._frames) > self.bound:
            self._frames.popleft()
            self._dropped += 1

    def take(self, now: float) -> Frame | Dropped | None:
        """What is to be sent now: first the news that events were dropped, then the oldest event, if it is due."""
        if not self._frames or now < self._next:
            return None
        if self._dropped:
            told = Dropped(self._dropped, self._last_id, self._frames[0].id)
            self._dropped = 0
            return told
        frame = self._frames.popleft()
        self._last_id = frame.id
        self._next = max(self._next, now) + self._apart if self._apart else 0.0
        return frame

    def due(self, now: float) -> float | None:
        """Seconds until `take` gives something, or None if nothing is queued."""
        return max(0.0, self._next - now) if self._frames else None


class Filter:
    """Duplicates, omits and reorders events as a script's Stream step says."""

    def __init__(self, step: Stream) -> None:
        self._step = step
        self._count = 0
        self._held: Frame | None = None

    def through(self, frame: Frame) -> list[Frame]:
        """What is sent in place of this frame."""
        self._count += 1
        step, held, self._held = self._step, self._held, None
        if step.omit and self._count % step.omit == 0:
            out = []
        elif step.reorder and self._count % step.reorder == 0 and held is None:
            self._held = frame
            return []
        else:
            out = [frame, frame] if step.duplicate and self._count % step.duplicate == 0 else [frame]
        return out if held is None else [*out, held]

    def rest(self) -> list[Frame]:
        """What is still held back; it is needed no more."""
        held, self._held = self._held, None
        return [] if held is None else [held]
