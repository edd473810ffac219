"""Each defect misbehaves when it is on, and without it the server behaves."""

import json
import re
from pathlib import Path

import pytest

import mock_server
from harness.errors import HarnessError
from harness.eventstream import Decoder, Event
from harness.testevent import read
from mock_server.defects import DEFECTS, known
from mock_server.flag import NAME


def decoded(raw):
    return [one for one in Decoder().feed(raw.body) if isinstance(one, Event)]


def handover(mock):
    (first,) = mock.publish()
    raw = mock.stream(last_event_id=first)
    live = mock.publish(count=2)
    raw.until(live[-1].encode() + b"\n")
    return raw.ids == live


def brings_nothing_if_nothing_was_missed(mock):
    (last,) = mock.publish()
    raw = mock.stream(last_event_id=last)
    raw.until(mock.publish()[0].encode() + b"\n")
    return len(raw.ids) == 1


def beats(raw, mock):
    try:
        while b": heartbeat" not in raw.body:
            raw.more(timeout=mock.patience)
    except TimeoutError:
        return False
    return True


def no_heartbeat(mock):
    return beats(mock.stream(), mock)


def beats_on_a_resumed_stream(mock):
    (last,) = mock.publish()
    return beats(mock.stream(last_event_id=last), mock)


def heartbeat_without_id(mock):
    return b"id:" not in mock.stream().until(b": heartbeat").body


def sends_no_reset(mock):
    return b"event: reset" not in mock.stream().until(lambda seen: seen.count(b": heartbeat") >= 2).body


def frees_slot(mock):
    for _ in range(3):
        mock.stream(user="slots").close()
        mock.until(lambda: mock.stats()["open"] == 0)
    return mock.request(user="slots").status == 200


def counts_a_resumed_stream_once(mock):
    (last,) = mock.publish()
    for _ in range(2):
        mock.stream(last_event_id=last).close()
        mock.until(lambda: mock.stats()["open"] == 0)
    return not mock.stats()["slots"]


def limits_a_user_whatever_the_token(mock):
    return [mock.request(token=mock.token(ttl=600 + number)).status for number in range(4)][3] == 429


def frees_what_the_flag_ended(mock):
    mock.stream()
    mock.order("/flag", enabled=False)
    freed = not mock.stats()["slots"]
    mock.order("/flag", enabled=True)
    return freed


def needs_a_token(mock):
    return mock.request(token=None).status == 401


def needs_a_fresh_token(mock):
    return mock.request(token=mock.token(ttl=-1)).status == 401


def ends_an_idle_stream_with_its_token(mock):
    raw = mock.request(token=mock.token(ttl=0.3))
    while raw.body.count(b": heartbeat") < 4:
        if not raw.more():
            return raw.how == "fin"
    return False


def needs_its_signature(mock):
    body, _, signature = mock.token().partition(".")
    return mock.request(token=f"{body}.{signature.swapcase()}").status == 401


def needs_a_token_on_resume(mock):
    return mock.request(token="forged", headers={"Last-Event-ID": "x"}).status == 401


def needs_a_fresh_token_on_resume(mock):
    return mock.request(token=mock.token(ttl=-1), headers={"Last-Event-ID": "x"}).status == 401


def obeys_the_kill_switch(mock):
    raw = mock.stream()
    mock.order("/flag", enabled=False)
    if mock.stats()["open"]:
        return False
    return raw.to_end() == "fin"


def lets_in_nobody_while_off(mock):
    mock.order("/flag", enabled=False)
    answered = mock.request().status
    mock.order("/flag", enabled=True)
    return answered == 204


def serves_every_stream(mock):
    first, second = mock.stream(), mock.stream()
    mock.publish()
    second.until_ids(1)
    beats = first.body.count(b": heartbeat")
    while first.body.count(b": heartbeat") <= beats + 1:
        first.more()
    return bool(first.ids)


def ends_what_is_live(mock):
    mock.stream()
    mock.order("/flag", enabled=False)
    ended = not mock.stats()["open"]
    mock.order("/flag", enabled=True)
    return ended


def comes_at_once(mock):
    raw = mock.stream()
    mock.publish()
    try:
        while not raw.ids:
            raw.more(timeout=mock.patience)
    except TimeoutError:
        return False
    return True


def splits_lines(mock):
    raw = mock.stream()
    ids = mock.publish(count=4)
    raw.until(ids[-1].encode() + b"\n").until(lambda seen: raw.body.endswith(b"}\n\n"))
    return all(read(one.data) is not None for one in decoded(raw))


def says_when_to_retry(mock):
    return "retry-after" in [mock.request() for _ in range(4)][3].until(b"\r\n\r\n").head


def says_in_seconds_when_to_retry(mock):
    return [mock.request() for _ in range(4)][3].head["retry-after"].isdecimal()


def has_type(mock):
    return mock.stream().head["content-type"] == "text/event-stream"


def is_not_cached(mock):
    return {"cache-control", "x-accel-buffering"} <= set(mock.stream().head)


def has_early_head(mock):
    raw = mock.request()
    try:
        raw.more(timeout=mock.patience)
    except TimeoutError:
        mock.publish()
        raw.until(b"retry: ").until_ids(1)
        return False
    return True


def fits_its_schema(mock):
    raw = mock.stream()
    mock.publish(type="metric")
    raw.until_ids(1)
    return isinstance(read(decoded(raw)[0].data).body["value"], float)


def gives_ids(mock):
    raw = mock.stream()
    (id,) = mock.publish()
    raw.until(b"}\n\n")
    return decoded(raw)[0].id == id


def share(mock, percent, names):
    """For whom of the names the stream is offered at this percentage."""
    mock.order("/flag", percent=percent)
    return {name for name in names if json.loads(mock.twin("/api/flags", user=name))[NAME]}


def asks_twice(mock):
    names = [f"user-{number}" for number in range(30)]
    return share(mock, 50, names) == share(mock, 50, names)


def grows(mock):
    names = [f"user-{number}" for number in range(30)]
    return share(mock, 30, names) <= share(mock, 60, names)


def keeps_its_share(mock):
    return 5 <= len(share(mock, 50, [f"user-{number}" for number in range(30)])) <= 25


def lets_in_everybody(mock):
    return all(mock.request(user=name).status == 200 for name in ("ann", "bob"))


def lets_in_again(mock):
    (id,) = mock.publish()
    return mock.request(headers={"Last-Event-ID": id}).status == 200


def has_equal_twins(mock):
    answers = []
    for percent in (100, 0):
        mock.order("/flag", percent=percent)
        answers.append(mock.twin("/api/dashboard"))
    return answers[0] == answers[1]


def recovers_from_a_rollback(mock):
    mock.stream()
    mock.order("/flag", percent=0)
    return json.loads(mock.twin("/api/events")).get("error") is None


def limit_of(number):
    return lambda mock: [mock.request(user="limit").status for _ in range(5)].count(200) == number


def replays(mock):
    ids = mock.publish(count=3)
    raw = mock.stream(last_event_id=ids[0])
    (last,) = mock.publish()
    return raw.until(last.encode() + b"\n").ids == [*ids[1:], last]


def tells_too_old(mock):
    first, *_ = mock.publish(count=25)
    raw = mock.stream(last_event_id=first)
    mock.publish()
    raw.until_ids(1)
    return b"event: reset" in raw.body


def isolates(mock):
    raw = mock.stream()
    mock.publish("bob")
    (last,) = mock.publish()
    return raw.until(last.encode() + b"\n").ids == [last]


BEHAVES = {
    "ignores-last-event-id": replays,
    "replays-one-too-many": replays,
    "replays-one-too-few": replays,
    "replays-twice": replays,
    "resets-needlessly": replays,
    "repeats-the-last-event": brings_nothing_if_nothing_was_missed,
    "serves-one-stream": serves_every_stream,
    "loses-handover": handover,
    "leaks-to-other-user": isolates,
    "no-heartbeat": no_heartbeat,
    "resets-in-between": sends_no_reset,
    "no-heartbeat-on-resume": beats_on_a_resumed_stream,
    "heartbeat-with-id": heartbeat_without_id,
    "limit-one-too-many": limit_of(3),
    "limit-one-too-few": limit_of(3),
    "never-frees-slot": frees_slot,
    "resume-frees-slot-twice": counts_a_resumed_stream_once,
    "limit-per-token": limits_a_user_whatever_the_token,
    "kill-switch-keeps-slots": frees_what_the_flag_ended,
    "accepts-no-token": needs_a_token,
    "checks-no-signature": needs_its_signature,
    "accepts-expired-token": needs_a_fresh_token,
    "expires-only-on-event": ends_an_idle_stream_with_its_token,
    "accepts-no-token-on-resume": needs_a_token_on_resume,
    "accepts-expired-token-on-resume": needs_a_fresh_token_on_resume,
    "ignores-flag": lets_in_nobody_while_off,
    "ignores-kill-switch": obeys_the_kill_switch,
    "kill-switch-only-on-event": ends_what_is_live,
    "kill-switch-mutes": ends_what_is_live,
    "buffers-2s": comes_at_once,
    "bare-lf": splits_lines,
    "no-retry-after": says_when_to_retry,
    "retry-after-soon": says_in_seconds_when_to_retry,
    "wrong-content-type": has_type,
    "cacheable": is_not_cached,
    "late-headers": has_early_head,
    "silent-loss-when-too-old": tells_too_old,
    "breaks-schema": fits_its_schema,
    "nul-in-id": gives_ids,
    "flag-not-sticky": asks_twice,
    "flag-not-monotone": grows,
    "flag-wrong-share": keeps_its_share,
    "refuses-one-user": lets_in_everybody,
    "refuses-resumes": lets_in_again,
    "rest-twin-differs": has_equal_twins,
    "errors-after-rollback": recovers_from_a_rollback,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(BEHAVES))
def test_a_defect_misbehaves_and_without_it_the_server_behaves(mock, name):
    mock.patience = 10.0
    assert BEHAVES[name](mock)
    mock.calm()
    mock.patience = 0.7
    mock.order("/defect", name=name, on=True)
    assert not BEHAVES[name](mock)


@pytest.mark.slow
def test_defect_reuses_ids_after_restart(start_mock):
    mock = start_mock()
    before = mock.publish()
    mock.restart("crash")
    after = mock.publish()
    assert after != before
    mock.order("/defect", name="reuses-ids-after-restart", on=True)
    mock.restart("crash")
    assert mock.publish() == after


@pytest.mark.slow
def test_defect_forgets_on_graceful_restart(start_mock):
    mock = start_mock()
    (before,) = mock.publish()
    mock.restart("graceful")
    assert b"event: reset" not in mock.stream(last_event_id=before).body
    mock.order("/defect", name="forgets-on-graceful-restart", on=True)
    mock.restart("graceful")
    mock.stream(last_event_id=before).until(b"event: reset")


@pytest.mark.slow
def test_defect_flag_not_sticky_over_restart(start_mock):
    mock = start_mock()
    names = [f"user-{number}" for number in range(30)]
    before = share(mock, 50, names)
    mock.restart("crash")
    assert share(mock, 50, names) == before
    mock.order("/defect", name="flag-not-sticky-over-restart", on=True)
    before = share(mock, 50, names)
    mock.restart("crash")
    assert share(mock, 50, names) != before


@pytest.mark.slow
def test_defect_late_headers_on_resume(start_mock):
    """The head of a resume that has nothing to replay comes before its first heartbeat, which is far away."""
    mock = start_mock(heartbeat=600.0)
    (last,) = mock.publish()
    resume = {"Last-Event-ID": last}
    assert mock.request(headers=resume).status == 200
    mock.order("/defect", name="late-headers-on-resume", on=True)
    assert mock.request().status == 200
    with pytest.raises(TimeoutError):
        mock.request(headers=resume).more(timeout=0.5)


def test_every_defect_is_tried_and_asked_for_somewhere():
    alone = {
        "reuses-ids-after-restart",
        "forgets-on-graceful-restart",
        "flag-not-sticky-over-restart",
        "late-headers-on-resume",
    }
    assert set(BEHAVES) | alone == set(DEFECTS)
    folder = Path(mock_server.__file__).parent
    code = "".join(file.read_text() for file in folder.glob("*.py") if file.name != "defects.py")
    asked = set(re.findall(r'"([a-z0-9-]+)" (?:not )?in [a-z_.]*defects', code))
    assert asked == set(DEFECTS)


def test_an_unknown_defect_is_refused_in_one_sentence():
    with pytest.raises(HarnessError, match=r"^there is no defect 'x'; known: ignores-last-event-id, "):
        known("x")
