import pytest

from harness import testevent
from harness.errors import HarnessError
from mock_server.hub import Hub, Wheel
from mock_server.settings import load_settings


class Ear:
    """A stream that only listens."""

    def __init__(self):
        self.heard = []

    def deliver(self, frame):
        self.heard.append(frame.id)


def a_hub(*defects, **settings):
    return Hub(load_settings({"replay_events": 4, "limit_per_user": 2, **settings}), "e", set(defects))


def published(hub, *users):
    return [hub.publish(user, None, None, 1000.0).id for user in users]


def replayed(hub, last, user="ann"):
    found = hub.resume(user, last)
    return [one.id for one in found.replay], found.reset


def test_ids_count_over_all_channels_and_seq_within_one():
    hub = a_hub()
    frames = [hub.publish(user, None, None, 1.0) for user in ("ann", None, "bob", "ann")]
    assert [one.id for one in frames] == ["e-1", "e-2", "e-3", "e-4"]
    assert [(one.channel, one.seq) for one in frames] == [("user:ann", 1), ("all", 1), ("user:bob", 1), ("user:ann", 2)]


def test_a_payload_says_what_it_is():
    payload = a_hub().publish("ann", "metric", None, 12.5).payload
    assert payload["digest"] == testevent.digest_of(payload)
    assert (payload["owner"], payload["epoch"], payload["seq"], payload["at"]) == ("ann", "e", 1, 12.5)


def test_a_stream_hears_its_users_events_and_those_for_all():
    hub, ann, bob = a_hub(), Ear(), Ear()
    hub.join("ann", ann)
    hub.join("bob", bob)
    published(hub, "ann", "bob", None)
    assert (ann.heard, bob.heard) == (["e-1", "e-3"], ["e-2", "e-3"])
    hub.leave("ann", ann)
    published(hub, "ann")
    assert ann.heard == ["e-1", "e-3"]


def test_a_replay_begins_strictly_after_the_id_and_has_only_the_users_own():
    hub = a_hub()
    published(hub, "ann", "bob", None, "ann")
    assert replayed(hub, "e-1") == (["e-3", "e-4"], None)
    assert replayed(hub, "e-4") == ([], None)
    assert replayed(hub, None) == ([], None)
    assert replayed(hub, "") == ([], None)


def test_the_oldest_id_that_can_be_resumed_from_is_the_one_just_before_the_buffer():
    hub = a_hub()
    published(hub, *["ann"] * 7)
    assert replayed(hub, "e-3") == (["e-4", "e-5", "e-6", "e-7"], None)
    assert replayed(hub, "e-2") == ([], "too-old")
    assert hub.resume("ann", "e-2").after == "e-7"


@pytest.mark.parametrize(
    "last, reason",
    [
        ("f-1", "epoch"), ("e-2", "unknown"), ("e-", "unknown"), ("-1", "unknown"), ("17", "unknown"),
        ("e-1x", "unknown"), ("e-١", "unknown"), ("e-" + "9" * 5000, "unknown"), ("hb-0", "epoch"),
    ],
)  # fmt: skip
def test_an_id_that_nobody_gave_is_answered_with_a_reset(last, reason):
    hub = a_hub()
    published(hub, "ann")
    assert replayed(hub, last) == ([], reason)


def test_the_limit_is_exact_and_a_slot_comes_back():
    hub = a_hub()
    assert [hub.take_slot("ann") for _ in range(3)] == [True, True, False]
    assert hub.take_slot("bob")
    hub.free_slot("ann")
    assert hub.take_slot("ann")
    assert not hub.take_slot("ann")


def test_nothing_is_left_of_a_user_who_has_gone():
    hub, ear = a_hub(), Ear()
    hub.take_slot("ann")
    hub.join("ann", ear)
    hub.leave("ann", ear)
    hub.free_slot("ann")
    assert (hub.sinks, dict(hub.slots.held)) == ({}, {})


def test_a_body_that_does_not_fit_its_schema_is_refused_and_takes_no_number():
    hub = a_hub()
    with pytest.raises(HarnessError, match=r"^body/value does not fit the schema of metric: 'x' is not of type"):
        hub.publish("ann", "metric", {"name": "a", "value": "x", "unit": "%"}, 1.0)
    with pytest.raises(HarnessError, match=r"^there is no event type 'reset' to publish"):
        hub.publish("ann", "reset", {}, 1.0)
    assert published(hub, "ann") == ["e-1"]


def test_a_graceful_restart_goes_on_where_it_was():
    before, after = a_hub(), a_hub()
    published(before, "ann", None, "bob")
    frames = list(before.buffer)
    after.restore(before.save())
    assert list(after.buffer) == frames
    assert after.publish("ann", None, None, 1.0)[:2] == (4, "e-4")
    assert after.seqs["user:ann"] == 2
    assert after.metrics.keys() == before.metrics.keys()


@pytest.mark.parametrize(
    "defect, expected",
    [
        (None, ["e-2", "e-3"]),
        ("ignores-last-event-id", []),
        ("replays-one-too-many", ["e-1", "e-2", "e-3"]),
        ("replays-one-too-few", ["e-3"]),
        ("replays-twice", ["e-2", "e-3", "e-2", "e-3"]),
    ],
)
def test_defects_of_the_replay(defect, expected):
    hub = a_hub(*filter(None, [defect]))
    published(hub, "ann", "ann", "ann")
    assert replayed(hub, "e-1") == (expected, None)


@pytest.mark.parametrize("defect, reason", [(None, "too-old"), ("silent-loss-when-too-old", None)])
def test_defect_of_the_reset(defect, reason):
    hub = a_hub(*filter(None, [defect]))
    published(hub, *["ann"] * 7)
    assert replayed(hub, "e-1") == ([], reason)


@pytest.mark.parametrize("defect, reason", [(None, None), ("resets-needlessly", "too-old")])
def test_defect_of_a_needless_reset(defect, reason):
    hub = a_hub(*filter(None, [defect]))
    published(hub, "ann")
    assert replayed(hub, "e-1") == ([], reason)


@pytest.mark.parametrize("defect, heard", [(None, []), ("leaks-to-other-user", ["e-1"])])
def test_defect_of_the_isolation(defect, heard):
    hub, bob = a_hub(*filter(None, [defect])), Ear()
    hub.join("bob", bob)
    published(hub, "ann")
    assert bob.heard == heard
    assert [one.id for one in hub.resume("bob", "e-0").replay] == heard


@pytest.mark.parametrize("defect, granted", [(None, 2), ("limit-one-too-many", 3), ("limit-one-too-few", 1)])
def test_defects_of_the_limit(defect, granted):
    hub = a_hub(*filter(None, [defect]))
    assert sum(hub.take_slot("ann") for _ in range(5)) == granted


@pytest.mark.parametrize("defect, again", [(None, True), ("never-frees-slot", False)])
def test_defect_of_the_slots(defect, again):
    hub = a_hub(*filter(None, [defect]), limit_per_user=1)
    hub.take_slot("ann")
    hub.free_slot("ann")
    assert hub.take_slot("ann") is again


def test_a_wheel_turns_once_between_two_beats_of_a_member():
    wheel, beats = Wheel(4), []
    wheel.tick(beats.append)
    group = wheel.add("a")
    for _ in range(3):
        wheel.tick(beats.append)
    assert beats == []
    wheel.tick(beats.append)
    assert beats == ["a"]
    for _ in range(4):
        wheel.tick(beats.append)
    assert beats == ["a", "a"]
    del group["a"]
    for _ in range(8):
        wheel.tick(beats.append)
    assert beats == ["a", "a"]
