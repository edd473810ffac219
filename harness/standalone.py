"""The mock server in the foreground, for people who develop a client against it, and tokens for it.

While it runs, a file that only its owner can read says where it listens and holds its secrets: `sse-harness token`
and the owner's own scripts find it there.  The file goes when the mock ends; one that a crash left behind is
ignored, because its process is gone.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from harness.errors import HarnessError

SECRET: Final = "SSE_MOCK_SECRET"
CONTROL_TOKEN: Final = "SSE_MOCK_CONTROL_TOKEN"
PATH: Final = "/api/stream/events"
END_WITHIN: Final = 8.0
LONGEST_TTL: Final = 10 * 365 * 86_400.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A mock server that runs in somebody's foreground."""

    pid: int
    port: int
    control_port: int
    control_token: str
    secret: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"


def state_folder(environ: Mapping[str, str]) -> Path:
    """Where the files of running mocks are. Raises HarnessError where nobody says and there is no home folder."""
    try:
        base = environ.get("XDG_RUNTIME_DIR") or environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as exc:
        raise HarnessError("there is no home folder; set XDG_RUNTIME_DIR to a folder of yours") from exc
    return Path(base) / "sse-harness"


def serve(settings: Mapping[str, Any], *, port: int, control_port: int, say: Say, folder: Path) -> int:
    """Run the mock until Ctrl-C or SIGTERM; returns the exit code. Raises HarnessError if it does not come up."""
    from mock_server.supervisor import reserved

    with reserved("127.0.0.1", port, control_port):
        pass  # a port that somebody else has is told before anything is started
    environment = {**os.environ, CONTROL_TOKEN: secrets.token_urlsafe(24)}
    environment.setdefault(SECRET, secrets.token_urlsafe(24))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _child(settings, port, control_port, environment) as child:
        try:
            running = _running(child, environment)
            with _noted(running, folder) as path:
                say(_welcome(running, path))
                return _outlived(child)
        except KeyboardInterrupt:
            return 0


def token(user: str, ttl: float, *, now: float, environ: Mapping[str, str], folder: Path) -> str:
    """A token of the mock for this user. Raises HarnessError if nobody knows the mock's secret."""
    from mock_server.auth import mint

    if not 0 < ttl <= LONGEST_TTL:
        raise HarnessError(f"--ttl is {ttl:g}; give seconds above 0 and at most {LONGEST_TTL:g}")
    secret = environ.get(SECRET) or next((one.secret for one in running_mocks(folder)), None)
    if not secret:
        raise HarnessError(f"no mock server of yours is running; start `sse-harness mock` or set {SECRET}")
    return mint(secret, user, now + ttl)


def running_mocks(folder: Path) -> list[Running]:
    """The mocks that run now, the latest first."""
    found = []
    for path in folder.glob("mock-*.json"):
        try:
            one = Running(**json.loads(path.read_text("utf-8")))
            found.append((path.stat().st_mtime, one))
        except (OSError, ValueError, TypeError):
            continue
    return [one for _, one in sorted(found, key=lambda pair: -pair[0]) if psutil.pid_exists(one.pid)]


@contextmanager
def _child(
    settings: Mapping[str, Any], port: int, control_port: int, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    # A session of its own: Ctrl-C reaches this process alone, which then ends the mock in order.
    child = subprocess.Popen(
        [
            sys.executable, "-P", "-m", "mock_server", "--stop-with-stdin", "--port", str(port),
            "--control-port", str(control_port), "--settings", json.dumps(dict(settings)),
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True,
    )  # fmt: skip
    assert child.stdin is not None and child.stdout is not None  # noqa: S101, PT018 - asked for above
    try:
        yield child
    finally:
        child.stdin.close()
        try:
            child.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()


def _running(child: subprocess.Popen[bytes], environment: Mapping[str, str]) -> Running:
    assert child.stdout is not None  # noqa: S101 - asked for
    line = child.stdout.readline()
    try:
        told = json.loads(line)
        return Running(
            pid=os.getpid(), port=told["port"], control_port=told["control_port"],
            control_token=environment[CONTROL_TOKEN], secret=environment[SECRET],
        )  # fmt: skip
    except (ValueError, KeyError) as exc:
        raise HarnessError("the mock server did not start; its last words are above, mend what they name") from exc


@contextmanager
def _noted(running: Running, folder: Path) -> Iterator[Path]:
    """The file of this mock, for as long as it runs."""
    path = folder / f"mock-{running.port}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            json.dump(asdict(running), out)
    except OSError as exc:
        raise HarnessError(
            f"{path} cannot be written ({exc.strerror or exc}); set XDG_RUNTIME_DIR to a folder of yours"
        ) from exc
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _welcome(running: Running, path: Path) -> str:
    return "\n".join(
        (
            f"event stream   {running.url}",
            "token          sse-harness token USER --ttl 3600   (header `Authorization: Bearer TOKEN`,",
            "               or `?access_token=TOKEN` where a client cannot set headers)",
            f"control plane  http://127.0.0.1:{running.control_port}, its token is `control_token` in {path}",
            "Ctrl-C ends it.",
        )
    )


def _outlived(child: subprocess.Popen[bytes]) -> int:
    """Wait for a mock that ends by itself, which it should not."""
    code = child.wait()
    raise HarnessError(f"the mock server died (exit {code}); its last words are above, start it again")
