"""The request: that a client asks for a stream in such a way that it can be given one."""

from harness import attempts
from harness.accept import admits
from harness.attempts import Conn
from harness.check import Finding, check, failed, passed, skipped
from harness.history import History


@check("request.for_a_stream", "VAL-1", "SSE-3", "SSE-4", subject="client")
def for_a_stream(history: History) -> Finding:
    """A client asks with GET and admits event streams."""
    conns = [(one.sub, conn) for one in attempts.attempts(history) for conn in one.conns]
    if not conns:
        return skipped("nobody but the client knows what it asked")
    wrong = [f"{sub} at {conn.t:.6f}: {reason}" for sub, conn in conns if (reason := _breach(conn))]
    expected = "GET, and an Accept that admits text/event-stream"
    if wrong:
        return failed(expected, f"{len(wrong)} of {len(conns)} requests", wrong)
    return passed(expected, f"{len(conns)} requests", (), requests=len(conns))


def _breach(conn: Conn) -> str:
    if conn.method != "GET":
        return f"method {conn.method:.20}"
    return "" if admits(conn.accept) else f"Accept: {conn.accept or '':.80}"
