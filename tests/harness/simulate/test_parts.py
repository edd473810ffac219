from harness.simulate.parts import Event


def test_an_event_belongs_to_the_user_of_its_channel_or_to_all():
    assert Event(1, "e0-1", "message", {"owner": "ann"}, "e0").owner == "ann"
    assert Event(2, "e0-2", "message", {"owner": None}, "e0").owner is None
