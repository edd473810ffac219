"""`python -P -m harness.proxy.watch PROGRAM ARGUMENT...`: runs a program for as long as its parent lives.

The real Toxiproxy knows nothing of its parent.  This process does: when its standard input closes (the parent is gone,
however it went) or SIGTERM comes, the program is told to end, and killed if it does not; when the program ends by
itself, this process ends with its exit code.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from typing import Any, Final

END_WITHIN: Final = 3.0
CANNOT_START: Final = 127


def main() -> int:
    """Run the program that the arguments name to its end; its exit code, 128 + N for a signal N."""
    quiet = subprocess.DEVNULL
    # The byte of a signal cannot be missed; a handler waits for as long as the main thread is inside a call.
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        program = subprocess.Popen(sys.argv[1:], stdin=quiet, stdout=quiet, stderr=quiet)
    except OSError:
        return CANNOT_START
    threading.Thread(target=_watch, args=(program, told), daemon=True, name="watch").start()
    code = program.wait()
    return code if code >= 0 else 128 - code


def _watch(program: "subprocess.Popen[Any]", told: int) -> None:
    # os.read and not sys.stdin: a thread inside a buffered reader is fatal to an interpreter that ends.
    with contextlib.suppress(OSError):
        while told not in select.select([0, told], [], [])[0] and os.read(0, 4096):
            pass
    program.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        program.wait(END_WITHIN)
    program.kill()


if __name__ == "__main__":
    raise SystemExit(main())
