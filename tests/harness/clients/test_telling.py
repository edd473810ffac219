import pytest

from harness import subscriber
from harness.clients.telling import tell
from harness.eventstream import Event, Ignored


class Noting:
    """A session that notes what it is told."""

    def __init__(self):
        self.told = []

    def __getattr__(self, name):
        return lambda *words, **more: self.told.append((name, *words, *more.items()))


NOTICES = [
    (subscriber.Heard("x"), ("comment", "x")),
    (subscriber.Opened(0), ("opened",)),
    (subscriber.Stirred(), ("stirred",)),
    (subscriber.Told(300), ("retry", 300)),
    (subscriber.IdCommitted("7"), ("id_only", "7")),
    (subscriber.Skipped(Ignored(b"l", "r")), ("ignored", b"l", "r")),
    (subscriber.Ended("eof", True, 2), ("ended", "eof", ("bytes", 9), ("torn", 1), ("invalid_utf8", 2))),
    (subscriber.Error("e"), ("error", "e")),
    (subscriber.Failed("f"), ("error", "f")),
    (subscriber.Waiting(1.5, "w"), ("waiting", 1.5, "w")),
    (subscriber.Changed(subscriber.State.OPEN, "s"), ("state", "OPEN", "s")),
    (subscriber.Withheld("\n"), ("state", "CONNECTING", "Last-Event-ID withheld: '\\n'")),
    (subscriber.Dispatch(Event("metric", "{}", "1")), None),
]  # fmt: skip


@pytest.mark.parametrize("notice, expected", NOTICES, ids=lambda one: type(one).__name__)
def test_each_notice_is_told_once(notice, expected):
    session, machine = Noting(), subscriber.Subscriber(subscriber.Options(), rng=None)
    tell(session, notice, machine=machine, received=9)
    assert len(session.told) == 1
    if expected is not None:
        assert session.told[0] == expected


def test_what_is_no_business_of_the_record_is_not_told():
    session = Noting()
    tell(session, subscriber.Closed(), machine=None, received=0)
    assert session.told == []
