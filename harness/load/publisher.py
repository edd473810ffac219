"""The locust process's end of the publisher's process: orders by line, answers by line, one at a time."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.lock import RLock

from harness.errors import HarnessError

ANSWER_WITHIN: Final = 60.0
END_WITHIN: Final = 12.0


@dataclass(slots=True)
class Publisher:
    """A running process of `harness.load.publishing`; `url` and `passes` are where and as whom to subscribe."""

    process: subprocess.Popen[bytes]
    url: str = ""
    passes: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    lock: RLock = field(default_factory=RLock)

    @classmethod
    def start(cls, *, parts: Path, target: str | None, settings: Mapping[str, Any], count: int) -> "Publisher":
        """Start it, and the mock with it if there is no target file. Raises HarnessError if that fails."""
        # A session of its own: Ctrl-C reaches locust alone, which then ends the run in order.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness.load.publishing"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        one = cls(process)
        try:
            told = one._ask(parts=str(parts), target=target, settings=dict(settings), count=count)
        except BaseException:
            one.stop()
            raise
        one.url, one.passes = told["url"], told["passes"]
        return one

    def begin(self, rate: float, users: Sequence[str]) -> None:
        self._ask(do="begin", rate=rate, users=list(users))

    def pause(self) -> int:
        """Stop publishing; how many events were published."""
        return int(self._ask(do="pause")["published"])

    def sentinels(self, users: Sequence[str]) -> dict[str, str]:
        """Publish one sentinel per channel; their digests by channel."""
        digests: dict[str, str] = self._ask(do="sentinels", users=list(users))["digests"]
        return digests

    def admit(self, user: str) -> Mapping[str, Any]:
        """A fresh pass."""
        return self._ask(do="admit", user=user)

    def stop(self) -> None:
        """End it and what it started."""
        assert self.process.stdin is not None and self.process.stdout is not None  # noqa: S101, PT018 - asked for
        self.process.stdin.close()
        try:
            self.process.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def _ask(self, **order: Any) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None  # noqa: S101, PT018 - asked for
        with self.lock:
            try:
                with gevent.Timeout(ANSWER_WITHIN):
                    self.process.stdin.write(json.dumps(order).encode() + b"\n")
                    self.process.stdin.flush()
                    line = self.process.stdout.readline()
                answer: dict[str, Any] = json.loads(line)
            except (OSError, ValueError, gevent.Timeout) as exc:
                raise HarnessError(
                    "the publisher's process ended or does not answer; its last words are above"
                ) from exc
        if "error" in answer:
            raise HarnessError(str(answer["error"]))
        return answer
