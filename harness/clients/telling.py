"""What a machine notices, told to the session that records it.  Pure."""

from harness.clients import Session
from harness.subscriber import (
    Changed,
    Dispatch,
    Ended,
    Error,
    Failed,
    Heard,
    IdCommitted,
    Opened,
    Output,
    Skipped,
    Stirred,
    Subscriber,
    Told,
    Waiting,
    Withheld,
)


def tell(session: Session, notice: Output, *, machine: Subscriber, received: int) -> None:
    """Record one notice; `received` counts the bytes of the body of this connection."""
    match notice:
        case Dispatch(event):
            session.event(id=event.id, type=event.type, data=event.data)
        case Heard(text):
            session.comment(text)
        case Stirred():
            session.stirred()
        case Opened():
            session.opened()
        case Told(retry_ms):
            session.retry(retry_ms)
        case IdCommitted(id):
            session.id_only(id)
        case Skipped(ignored):
            session.ignored(ignored.line, ignored.reason)
        case Ended(reason, torn, invalid_utf8):
            session.ended(reason, bytes=received, torn=int(torn), invalid_utf8=invalid_utf8)
        case Error(reason) | Failed(reason):
            session.error(reason)
        case Waiting(delay, reason):
            session.waiting(delay, reason)
        case Changed(state, reason):
            session.state(state.name, reason)
        case Withheld(id):
            session.state(machine.state.name, f"Last-Event-ID withheld: {id!r}")
        case _:
            pass
