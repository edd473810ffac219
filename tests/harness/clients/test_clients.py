"""The seam: what a client tells its session is a record of the history."""

import asyncio
import json

import pytest

from harness import testevent
from harness.clients import LONGEST_TEXT
from harness.kinds import KINDS
from tests.harness.doubles import Notes, session


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def one(notes):
    return session("http://127.0.0.1:9/stream?sub=s", notes)


def test_attempts_are_numbered_from_0_and_each_record_says_which(one, notes):
    one.attempt()
    one.response(503, {"Retry-After": "1", "Set-Cookie": "sid=secret"})
    one.ended("status 503")
    one.waiting(0.5, "status 503")
    one.attempt("e-1")
    one.opened()
    one.comment("x" * 1000)
    one.retry(300)
    one.id_only("e-2")
    one.ignored(b"\xffx", "unknown field")
    one.error("lost")
    one.state("OPEN", "why")
    one.polled(200, 2)
    assert notes.story() == [
        "attempt", "response", "end", "wait", "attempt", "open", "comment", "retry", "id", "ignored", "error", "poll"
    ]  # fmt: skip
    assert [record.get("attempt") for record in notes.records] == [0] * 4 + [1] * 7 + [None] * 2
    assert notes.told("sub.attempt", "last_event_id") == [None, "e-1"]
    assert "secret" not in str(notes.records)
    [comment] = notes.told("sub.comment", "text")
    assert len(comment) == LONGEST_TEXT
    assert notes.told("sub.ignored", "line") == ["\\xffx"]
    assert {record["sub"] for record in notes.records} == {"s"}


CARRIED = (
    ({"Authorization": "Bearer aVerySecretToken"}, ""), ({"Cookie": "theme=dark; sid=aVerySecretToken"}, ""),
    ({}, "&access_token=aVerySecretToken"), ({}, "&access_token=aVerySecret%54oken"),
)  # fmt: skip


@pytest.mark.parametrize(("headers", "query"), CARRIED)
def test_whatever_a_client_tells_no_record_has_the_token(notes, headers, query):
    one = session(f"http://127.0.0.1:9/stream?sub=s{query}", notes, headers=headers)
    shown = f"with {dict(one.headers)} to {one.url}: aVerySecretToken"
    one.attempt(shown)
    one.response(200, {"x-echo": shown})
    one.comment(shown)
    one.id_only(shown)
    one.ignored(shown.encode(), shown)
    one.event(id=shown, type=shown, data=shown)
    one.event(id="1", type="message", data=json.dumps({"channel": [shown]}))
    one.error(shown)
    one.ended(shown)
    one.waiting(0.5, shown)
    one.state("OPEN", shown)
    assert "SecretToken" not in str(notes.records)
    assert "Secret%54oken" not in str(notes.records)


def test_a_fresh_token_is_a_secret_too(notes):
    async def fresh():
        return {"Authorization": "Bearer anotherSecretToken"}

    one = session("http://127.0.0.1:9/stream", notes, fresh_token=fresh)
    assert asyncio.run(one.fresh_token()) == {"Authorization": "Bearer anotherSecretToken"}
    assert notes.told("sub.token", "sub") == [one.sub]
    one.error("refused: anotherSecretToken")
    assert "SecretToken" not in str(notes.records)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("response", ("200 OK", {})), ("response", (True, {})), ("retry", (None,)), ("waiting", ("1", "x")),
    ],
)  # fmt: skip
def test_what_no_check_could_read_is_refused_where_it_is_told(one, notes, method, arguments):
    with pytest.raises(TypeError, match=rf"session.{method}\(\) takes "):
        getattr(one, method)(*arguments)
    with pytest.raises(TypeError, match="id, type and data as str, not None"):
        one.event(id="1", type="m", data=None)
    assert notes.records == []


def test_it_knows_whether_it_is_open_or_polls(one):
    assert not one.is_open
    one.opened()
    assert (one.is_open, one.number) == (True, 0)
    one.ended("over")
    assert not one.is_open
    one.polled(None)
    assert not one.polling
    one.polled(200)
    assert one.polling
    one.opened()
    assert (one.is_open, one.polling) == (True, False)


def test_of_a_test_event_its_own_words_are_kept(one, notes):
    payload = testevent.make("u0", epoch="e", seq=4, at=1.5, body={"n": 1})
    one.opened()
    one.event(id="e-4", type="metric", data=json.dumps(payload))
    one.event(id="e-4", type="metric", data=json.dumps({**payload, "seq": 5}), via="poll")
    names = ("id", "type", "channel", "owner", "epoch", "seq", "at", "intact", "body", "via")
    assert notes.told("sub.event", *names) == [
        ("e-4", "metric", "user:u0", "u0", "e", 4, 1.5, True, {"n": 1}, None),
        ("e-4", "metric", "user:u0", "u0", "e", 5, 1.5, False, {"n": 1}, "poll"),
    ]


def test_of_a_test_event_that_says_more_the_whole_text_is_kept(notes):
    one = session("http://127.0.0.1:9/", notes, headers={"Authorization": "Bearer aVerySecretToken"})
    payload = testevent.make("u", epoch="e", seq=1, at=5.0, body={})
    one.event(id="e-1", type="message", data=json.dumps({**payload, "leak": "aVerySecretToken"}))
    [record] = notes.records
    assert (record["seq"], record["intact"]) == (1, True)
    assert json.loads(record["data"]).keys() == {*payload, "leak"}
    assert record["size"] >= len(record["data"]) - 20
    assert "aVerySecretToken" not in str(record)


def test_other_data_is_cut_and_a_large_body_left_out(one, notes):
    one.opened()
    one.event(id="", type="message", data="y" * 5000)
    large = testevent.make(None, epoch="e", seq=1, at=0.0, body={"text": "z" * 5000})
    one.event(id="1", type="metric", data=json.dumps(large))
    [(data, size, _), (_, large_size, body)] = notes.told("sub.event", "data", "size", "body")
    assert (len(data), size, body) == (LONGEST_TEXT, 5000, None)
    assert large_size > 5000


def test_a_sentinel_counts_if_it_is_whole(one):
    whole = testevent.make(None, epoch="e", seq=1, at=0.0, body={})
    one.opened()
    one.event(id="1", type="sentinel", data=json.dumps({**whole, "seq": 2}))
    one.event(id="1", type="metric", data=json.dumps(whole))
    assert one.sentinels == set()
    one.event(id="1", type="sentinel", data=json.dumps(whole))
    assert one.sentinels == {whole["digest"]}


def test_a_client_that_knows_better_says_when(one, notes):
    one.at = 12.5
    one.opened()
    one.at = None
    one.error("x")
    assert notes.of("sub.open")[0].t == 12.5
    assert notes.of("sub.error")[0].t != 12.5


def test_whatever_a_session_can_tell_has_its_kind():
    told = {"attempt", "response", "open", "poll", "event", "comment", "retry", "id", "ignored", "error", "end", "wait",
            "state"}  # fmt: skip
    assert {f"sub.{name}" for name in told} <= KINDS.keys()


def test_a_reason_that_carries_the_url_carries_no_token(one, notes):
    told = "Client error '401' for url 'http://h/s?access_token=abc.def&sub=s'"
    one.error(told)
    one.ended(told)
    one.waiting(1.0, told)
    one.state("FAILED", told)
    reasons = [record["reason"] for record in notes.records]
    assert len(reasons) == 4
    assert all("abc" not in reason and "access_token=u0:" in reason for reason in reasons)
