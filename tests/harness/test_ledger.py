"""Each fate on a transcript that a reader can follow, and the accounts that always add up."""

import importlib.util
from pathlib import Path
from random import Random

import pytest

from harness import ledger
from harness.simulate import PLOTS, play

SPEC = importlib.util.spec_from_file_location("planted", Path(__file__).parent / "planted.py")
planted = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(planted)


def pub(t, seq, channel="all", *, type="message", epoch="e", digest=None, **more):
    owner = None if channel == "all" else channel[5:]
    data = {"channel": channel, "owner": owner, "epoch": epoch, "seq": seq, "id": f"{epoch}-{seq}", "type": type}
    return (t, "published", {**data, "digest": digest or f"{channel}{epoch}{seq}", "at": t, **more})


def got(t, seq, channel="all", *, attempt=0, epoch="e", digest=None, owner=..., **more):
    owner = (None if channel == "all" else channel[5:]) if owner is ... else owner
    data = {"sub": "s", "attempt": attempt, "id": f"{epoch}-{seq}", "type": "message", "channel": channel}
    whole = {"owner": owner, "epoch": epoch, "seq": seq, "digest": digest or f"{channel}{epoch}{seq}", "intact": True}
    return (t, "sub.event", {**data, **whole, **more})


def told(t, type, data="{}", attempt=0):
    return (t, "sub.event", {"sub": "s", "attempt": attempt, "id": "", "type": type, "data": data, "size": len(data)})


def attempt(t, number, header=None):
    return (t, "sub.attempt", {"sub": "s", "attempt": number, "last_event_id": header})


def opened(t, number=0):
    return (t, "sub.open", {"sub": "s", "attempt": number})


def refused(t, number, status):
    return (t, "sub.response", {"sub": "s", "attempt": number, "status": status, "headers": {}})


START = (0.0, "sub.start", {"sub": "s", "user": "u", "options": {}})
CLOSE = (50.0, "sub.close", {"sub": "s"})
DRAIN = (90.0, "drain", {"state": "begin"})


def sentinel(t, seq, **more):
    return pub(t, seq, type="sentinel", **more)


def settle(*records, **header):
    accounts, anomalies = ledger.settled(planted.history([START, *records], **header))
    assert all(one.adds_up for one in accounts)
    fates = [(one.fate, one.seq) for one in anomalies]
    [account] = [one for one in accounts if one.channel == "all"] or [None]
    return account, fates


def test_what_is_published_after_the_first_open_is_due():
    account, fates = settle(pub(1, 1), opened(2), pub(3, 2), got(4, 2), DRAIN, sentinel(91, 3),
                            got(92, 3, type="sentinel"))  # fmt: skip
    assert (account.entitled, account.delivered, fates) == (2, 2, [])


def test_a_missing_event_is_lost_once_something_later_came():
    account, fates = settle(opened(1), pub(2, 1), pub(3, 2), got(4, 2))
    assert (account.entitled, account.lost, fates) == (2, 1, [("lost", 1)])


def test_a_missing_event_is_unseen_while_nothing_later_came():
    account, fates = settle(opened(1), pub(2, 1), got(3, 1), pub(4, 2), DRAIN, sentinel(91, 3))
    assert (account.unseen, fates) == (2, [("unseen", 2), ("unseen", 3)])


def test_what_follows_the_sentinel_is_not_due():
    account, _ = settle(opened(1), DRAIN, sentinel(91, 1), got(92, 1), pub(93, 2))
    assert account.entitled == 1


def test_a_subscriber_closed_before_the_drain_can_demand_nothing_behind_its_last_event():
    account, fates = settle(opened(1), pub(2, 1), got(3, 1), pub(4, 2), CLOSE, DRAIN, sentinel(91, 3))
    assert (account.entitled, account.delivered, fates) == (1, 1, [])


def test_until_its_first_event_each_opening_is_a_first_one():
    account, fates = settle(opened(1), pub(2, 1), opened(3, 1), pub(4, 2), got(5, 2, attempt=1))
    assert (account.entitled, fates) == (1, [])


def test_a_reset_announces_what_was_missed_since_the_last_connection():
    account, fates = settle(
        opened(1), pub(2, 1), got(3, 1), pub(4, 2), opened(5, 1), told(6, "reset"), pub(7, 3), got(8, 3, attempt=1)
    )
    assert (account.announced, account.lost, fates) == (1, 0, [("announced", 2)])


def test_a_reset_does_not_announce_what_was_lost_before_the_connection_broke():
    account, fates = settle(
        opened(1), pub(2, 1), pub(2.5, 2), got(3, 2), opened(5, 1), told(6, "reset"), pub(7, 3), got(8, 3, attempt=1)
    )
    assert (account.lost, fates) == (1, [("lost", 1)])


def test_a_reset_does_not_announce_what_is_published_later():
    account, _ = settle(
        opened(1), pub(2, 1), got(3, 1), opened(5, 1), told(6, "reset"), pub(7, 2), pub(8, 3), got(9, 3)
    )
    assert account.lost == 1


def test_a_dropped_event_announces_the_gap_it_stands_in():
    account, fates = settle(opened(1), pub(2, 1), got(3, 1), pub(4, 2), told(5, "dropped"), pub(6, 3), got(7, 3))
    assert (account.announced, fates) == (1, [("announced", 2)])


def test_another_type_of_reset_is_what_the_target_promises():
    account, _ = settle(
        opened(1), pub(2, 1), got(3, 1), pub(4, 2), opened(5, 1), told(6, "gap"), pub(7, 3), got(8, 3),
        promises={"reset_event": "gap"},
    )  # fmt: skip
    assert account.announced == 1


def ended(t, number=0):
    return (t, "sub.end", {"sub": "s", "attempt": number, "reason": "end of stream"})


def gave_up(t):
    return (t, "sub.closed", {"sub": "s", "reason": "gave up"})


def lags(until):
    return [(float(n), "lag", {"worst": 0.001}) for n in range(until + 1)]


@pytest.mark.parametrize("status", [403, 404, 503, 204])
def test_what_a_last_refusal_keeps_from_a_client_that_gives_up_is_announced(status):
    account, fates = settle(
        opened(1), pub(2, 1), got(3, 1), attempt(5, 1), refused(6, 1, status), gave_up(6.1), pub(7, 2), DRAIN,
        sentinel(91, 3),
    )  # fmt: skip
    assert (account.entitled, account.announced, fates) == (3, 2, [("announced", 2), ("announced", 3)])


def test_a_client_that_gives_up_for_no_reason_misses_what_follows():
    account, _ = settle(attempt(0.5, 0), opened(1), pub(2, 1), got(3, 1), gave_up(4), pub(7, 2), DRAIN, sentinel(91, 3))
    assert (account.entitled, account.unseen) == (3, 2)


def test_of_a_client_that_tells_no_attempts_nobody_knows_why_it_gave_up():
    account, _ = settle(opened(1), pub(2, 1), got(3, 1), gave_up(4), pub(7, 2), DRAIN, sentinel(91, 3))
    assert (account.entitled, account.delivered) == (1, 1)


def test_a_client_that_gives_up_after_it_was_closed_was_closed():
    account, _ = settle(
        attempt(0.5, 0), opened(1), pub(2, 1), got(3, 1), (4, "sub.close", {"sub": "s"}), gave_up(4.1), pub(7, 2), DRAIN
    )
    assert (account.entitled, account.delivered) == (1, 1)


BARREN = [opened(1), pub(2, 1), ended(5), opened(6, 1), pub(7, 2), got(8, 2, attempt=1)]


@pytest.mark.parametrize(
    "more, promised, fates",
    [
        ([], 1.0, [("lost", 1)]),
        ([], 2.9995, [("unseen", 1)]),  # late by no more than our own lag
        ([], 3.0, []),
        ([], None, [("unseen", 1)]),  # nobody promised when an event has to come
        ([(1.5, "net.fault", {"proxy": "p", "fault": "x", "state": "on"})], 1.0, []),
        ([got(7.5, 1, attempt=1)], 1.0, []),  # it was replayed
    ],
)
def test_a_stream_that_ended_before_it_brought_anything_owed_what_had_to_come_on_it(more, promised, fates):
    records = sorted([*BARREN, *more, *lags(9)], key=lambda one: one[0])
    account, found = settle(*records, promises={"max_latency": promised})
    assert found == fates
    assert (account.lost, account.unseen) == (fates == [("lost", 1)], fates == [("unseen", 1)])


def test_what_was_published_after_such_a_stream_or_long_after_its_last_sign_is_not_due():
    told = sorted([*BARREN, pub(5.5, 9), *lags(9)], key=lambda one: one[0])
    assert settle(*told, promises={"max_latency": 1.0})[1] == [("lost", 1)]
    silent = [one for one in told if one[1] != "sub.end"]
    assert settle(*silent, promises={"max_latency": 1.0})[1] == []
    heard = sorted([*silent, (4, "sub.comment", {"sub": "s", "attempt": 0, "text": ""})], key=lambda one: one[0])
    assert settle(*heard, promises={"max_latency": 1.0})[1] == [("lost", 1)]


def test_the_only_stream_of_a_subscriber_that_was_closed_owed_it_too():
    account, fates = settle(opened(1), *lags(6), pub(2, 1), (5, "sub.close", {"sub": "s"}), DRAIN,
                            promises={"max_latency": 1.0})  # fmt: skip
    assert (account.entitled, fates) == (1, [("lost", 1)])


@pytest.mark.parametrize("status", [401, 404, 204])
def test_a_refused_resume_announces_what_it_would_have_brought(status):
    account, _ = settle(
        opened(1), pub(2, 1), got(3, 1), pub(4, 2), attempt(5, 1, "e-1"), refused(6, 1, status), DRAIN, sentinel(91, 3)
    )
    assert (account.announced, account.unseen) == (2, 0)


@pytest.mark.parametrize("status", [408, 425, 429])
def test_a_resume_that_may_come_again_later_is_told_of_no_loss(status):
    missing = [opened(1), pub(2, 1), got(3, 1), pub(4, 2), attempt(5, 1, "e-1"), refused(6, 1, status)]
    account, _ = settle(*missing, DRAIN, sentinel(91, 3))
    assert (account.announced, account.unseen) == (0, 2)
    account, _ = settle(
        *missing[:-1], refused(5.5, 1, 401), attempt(5.6, 2, "e-1"), missing[-1], DRAIN, sentinel(91, 3)
    )
    assert (account.announced, account.unseen) == (0, 2)
    account, _ = settle(*missing, (7, "sub.closed", {"sub": "s", "reason": "gave up"}), DRAIN, sentinel(91, 3))
    assert (account.announced, account.unseen) == (2, 0)


def test_without_a_promised_replay_a_new_stream_owes_nothing_of_before():
    ended = (5, "sub.end", {"sub": "s", "attempt": 0, "reason": "eof"})
    rows = [
        opened(1),
        pub(2, 1),
        got(2.1, 1),
        pub(3, 2),
        ended,
        pub(6, 3),
        opened(7, 1),
        pub(8, 4),
        pub(9, 5),
        got(9.1, 5),
    ]
    none = {"promises": {"replay_events": None, "max_latency": 1.0}}
    assert settle(*rows, **none)[1] == [("lost", 2), ("announced", 3), ("lost", 4)]
    assert settle(*rows)[1] == [("lost", 2), ("lost", 3), ("lost", 4)]
    late = [opened(1), pub(2, 1), got(2.1, 1), pub(4.5, 2), ended, opened(7, 1), pub(9, 3), got(9.1, 3)]
    assert settle(*late, **none)[1] == [("announced", 2)]


PLAYED = (0.5, "server.fault", {"name": "id", "state": "on"})


@pytest.mark.parametrize(("before", "reset", "header", "fate"), [
    (PLAYED, told(3, "notice"), None, "announced"),
    ((0.5, "lag", {"worst": 0.001}), told(3, "notice"), None, "lost"),
    (PLAYED, told(3, "notice"), "e-1", "lost"),
    (PLAYED, pub(3, 9, "user:u"), None, "lost"),
    (PLAYED, got(3, 1, "user:u", id=""), None, "lost"),
], ids=["reset", "by the server itself", "resumes all the same", "not reset", "by a test event"])  # fmt: skip
def test_a_client_whose_last_event_id_was_reset_on_purpose_cannot_say_where_to_go_on(before, reset, header, fate):
    rows = [
        before,
        attempt(1, 0),
        opened(1),
        pub(2, 1),
        got(2.1, 1),
        reset,
        (4, "sub.end", {"sub": "s", "attempt": 0, "reason": "eof"}),
    ]
    rows += [pub(5, 2), attempt(6, 1, header), opened(7, 1), pub(8, 3), got(8.1, 3)]
    assert (fate, 2) in settle(*rows, promises={"replay_events": 100, "max_latency": 1.0})[1]


def test_an_event_that_comes_as_another_type_is_torn_and_delivered():
    account, fates = settle(opened(1), pub(2, 1, type="job"), got(3, 1), pub(4, 2, type="job"), got(5, 2, type="job"))
    assert (account.delivered, fates) == (2, [("torn", 1)])
    assert settle(opened(1), pub(2, 1, type="job"), got(3, 1, via="poll"))[1] == []


def test_a_refusal_that_a_later_resume_with_the_same_id_made_good_announces_nothing():
    account, _ = settle(
        opened(1), pub(2, 1), got(3, 1), pub(4, 2), attempt(5, 1, "e-1"), refused(6, 1, 429),
        attempt(7, 2, "e-1"), opened(8, 2), pub(9, 3), got(10, 3, attempt=2),
    )  # fmt: skip
    assert (account.announced, account.lost) == (0, 1)


def test_a_refused_resume_after_which_the_client_begins_anew_is_an_announcement():
    account, _ = settle(
        opened(1), pub(2, 1), got(3, 1), pub(4, 2), attempt(5, 1, "e-1"), refused(6, 1, 410),
        attempt(7, 2), opened(8, 2), pub(9, 3), got(10, 3, attempt=2),
    )  # fmt: skip
    assert (account.announced, account.lost) == (1, 0)


def test_a_server_error_is_no_announcement():
    account, _ = settle(opened(1), pub(2, 1), got(3, 1), pub(4, 2), attempt(5, 1, "e-1"), refused(6, 1, 503))
    assert (account.announced, account.unseen) == (0, 1)


def test_twice_on_one_connection_is_live_and_on_a_later_one_replay():
    history = planted.history([START, opened(1), pub(2, 1), got(3, 1), got(3.1, 1), opened(4, 1), got(5, 1, attempt=1)])
    assert [(one.fate, one.again) for one in ledger.settled(history)[1]] == [
        ("duplicated", "live"),
        ("duplicated", "replay"),
    ]


def test_seq_that_falls_is_reordered():
    _, fates = settle(opened(1), pub(2, 1), pub(3, 2), got(4, 2), got(5, 1))
    assert fates == [("reordered", 1)]


def test_two_hooks_at_the_same_time_have_no_order():
    _, fates = settle(opened(1), pub(2, 1, done=2.5), pub(2.2, 2, done=2.7), got(4, 2), got(5, 1))
    assert fates == []


def test_an_old_epoch_after_a_new_one_is_reordered():
    _, fates = settle(
        opened(1), pub(2, 1), pub(2.1, 2), pub(3, 1, epoch="f"), got(4, 1), got(5, 1, epoch="f"), got(6, 2)
    )
    assert fates == [("reordered", 2)]


def test_what_nobody_published_is_a_phantom():
    _, fates = settle(opened(1), pub(2, 1), got(3, 1), got(4, 9))
    assert ("phantom", 9) in fates


def test_where_records_of_what_was_published_are_missing_nothing_is_a_phantom():
    _, fates = settle(opened(1), pub(2, 1), pub(3, 3), got(4, 1), got(5, 2), got(6, 3), got(7, 4))
    assert fates == [("unrecorded", 2), ("unrecorded", 4)]


@pytest.mark.parametrize("more", [{"intact": False}, {"digest": "other"}])
def test_a_wrong_digest_is_torn_and_so_missing(more):
    account, fates = settle(opened(1), pub(2, 1), got(3, 1, **more), pub(4, 2), got(5, 2))
    assert account.lost == 1
    assert sorted(fates) == [("lost", 1), ("torn", 1)]


@pytest.mark.parametrize(
    "type, data, torn",
    [
        ("message", '{"channel": "all", "own', True),
        ("message", '{"channel": 1}', False),
        ("message", '["channel"', True),
        ("message", "hello", False),
        ("other", '{"channel": "all", "own', False),
        ("message", '"channel"', True),
    ],
)
def test_a_piece_of_a_test_event_is_torn_and_other_events_are_not(type, data, torn):
    _, fates = settle(opened(1), pub(2, 1), got(3, 1), told(4, type, data))
    assert (("torn", 0) in fates) is torn


def test_an_event_of_another_user_is_counted_beside():
    account, fates = settle(opened(1), pub(2, 1), got(3, 1), pub(4, 1, "user:v"), got(5, 1, "user:v"))
    assert fates == [("cross-user", 1)]
    assert account.entitled == 1


def test_a_name_used_again_is_another_event():
    account, fates = settle(opened(1), pub(2, 1), got(3, 1), pub(4, 1, digest="new"), got(5, 1, digest="new"))
    assert (account.delivered, fates) == (2, [])


def test_anomalies_of_one_kind_are_bounded(monkeypatch):
    monkeypatch.setattr(ledger, "KEPT", 3)
    history = planted.history([START, opened(1), pub(2, 1), *(got(3 + n, 1) for n in range(6))])
    assert (len(ledger.of(history).anomalies), ledger.of(history).untold) == (3, {("s", "all", "duplicated"): 2})
    assert (ledger.count(history, "duplicated"), ledger.count(history, "torn")) == (5, 0)


def test_what_a_summary_only_counts_is_counted_and_was_delivered():
    told = {"sub": "s", "channel": "user:v", "fate": "cross-user", "count": 7}
    history = planted.history([START, opened(1), pub(2, 1), got(3, 1), (4, "untold", told), (5, "untold", told)])
    assert (ledger.count(history, "cross-user"), ledger.of(history).deliveries) == (14, 15)


def test_an_anomaly_tells_who_what_and_when():
    history = planted.history([START, opened(1), pub(2, 1), got(3, 1), got(4, 1)])
    assert [str(one) for one in ledger.settled(history)[1]] == ["s: duplicated (live) e all #1 at 4.000000"]


@pytest.mark.parametrize("plot", sorted(PLOTS))
@pytest.mark.parametrize("defects", [(), ("ignores-last-event-id",), ("replays-one-too-few", "leaks-to-other-user")])
def test_accounts_add_up_whatever_happens(plot, defects):
    accounts, _ = ledger.settled(play(plot, Random(4), defects=defects))
    assert accounts
    assert all(one.adds_up for one in accounts)


def run(t, last, **types):
    about = {"sub": "s", "attempt": 0, "channel": "all", "epoch": "e", "id": f"e-{last}", "since": 4.0, "slowest": 0.1}
    return (t, "sub.run", {**about, "first": 1, "last": last, "types": types})


@pytest.mark.parametrize(
    "types, torn",
    [({"job": 2, "message": 1}, 0), ({"job": 3}, 1), ({"job": 1, "message": 2}, 1), ({"metric": 3}, 3)],
)
def test_of_a_summary_the_events_that_came_as_another_type_are_counted(types, torn):
    published = [pub(1.1, 1, type="job"), pub(1.2, 2), pub(1.3, 3, type="job")]
    account, fates = settle(opened(1), *published, run(5, 3, **types))
    assert (account.delivered, fates) == (3, [("torn", 3)] * torn)


def test_of_a_summary_nobody_knows_the_types_of_what_is_not_recorded_or_has_two_payloads():
    published = [pub(1.1, 1, type="job"), pub(1.2, 2), pub(1.3, 2, digest="another", type="job")]
    assert settle(opened(1), *published, run(5, 3, job=3))[1].count(("torn", 3)) == 0
    assert settle(opened(1), *published, run(5, 3, message=3))[1].count(("torn", 3)) == 1


def test_a_summary_that_repeats_what_came_before_is_taken_event_by_event():
    published = [pub(1 + n / 10, n) for n in (1, 2, 3)]
    account, fates = settle(opened(1), *published, got(3, 1), run(5, 3, message=3))
    assert account.delivered == 3
    assert fates == [("duplicated", 1)]
