import pytest

from harness.faults import applied
from harness.script import GOOD, Close, Finish, Reset, Respond, Send, Silence, Stream


@pytest.mark.parametrize(
    "name, parameters, script",
    [
        ("rst", {"events": 2}, (Respond(), Stream(events=2), Reset())),
        ("rst", {"bytes": 5}, (Respond(), Stream(cut_bytes=5), Reset())),
        ("fin", {}, (Respond(), Stream(events=0), Finish())),
        ("fin", {"clean": False, "bytes": 0}, (Respond(), Stream(cut_bytes=0), Close())),
        ("cut-event", {"at": "after-id"}, (Respond(), Stream(events=0, cut="after-id"), Close())),
        ("cut-event", {"how": "rst"}, (Respond(), Stream(events=0, cut="inside-data"), Reset())),
        ("silence", {"events": 1}, (Respond(), Stream(events=1), Silence())),
        ("unfinished-chunk", {}, (Respond(), Stream(events=0), Send(b'64\r\ndata: {"un', raw=True), Close())),
        ("broken-chunk", {"kind": "no-size"}, (Respond(), Stream(events=0), Send(b"\r\n: a\n\r\n", True), Close())),
    ],
)
def test_what_a_fault_makes_of_the_good_script(name, parameters, script):
    assert applied(name, GOOD, parameters) == script
