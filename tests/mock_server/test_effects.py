from mock_server.effects import Effects


class Stream:
    def mend(self): ...


def watched():
    told = []
    return Effects(lambda name, kept: told.append((name, kept))), told


def test_an_effect_is_over_when_nothing_waits_for_it_and_nobody_plays_it():
    effects, told = watched()
    stream, effect = Stream(), effects.begin("dribble")
    effects.play(effect, stream)
    effects.stop(effect)
    assert told == []
    effects.gone(stream)
    assert told == [("dribble", False)]
    effects.gone(stream)
    assert told == [("dribble", False)]


def test_one_that_nobody_plays_is_over_at_once():
    effects, told = watched()
    effects.settle(effects.begin("rst", waiting=False))
    assert told == [("rst", False)]


def test_a_name_is_told_when_the_last_of_its_effects_is_over():
    effects, told = watched()
    one, other = effects.begin("fin"), effects.begin("fin")
    effects.stop(one)
    assert told == []
    effects.stop(other)
    assert told == [("fin", False)]


def test_what_is_kept_is_told_apart():
    effects, told = watched()
    effects.begin("fin")
    effects.stop(effects.begin("fin", kept=True))
    assert told == [("fin", True)]


def test_a_reset_forgets_what_is_not_kept_and_says_who_has_to_be_mended():
    effects, told = watched()
    mended, left = Stream(), Stream()
    effects.play(effects.begin("dribble"), mended)
    effects.play(effects.begin("buffer", kept=True), left)
    assert effects.clear() == [mended]
    effects.gone(mended)
    assert told == []


def test_what_only_streams_play_can_be_found_and_left():
    effects, told = watched()
    stream, effect = Stream(), effects.begin("buffer", waiting=False)
    effects.play(effect, stream)
    assert effects.played("buffer") == effects.played(None) == [effect]
    effects.leave(effect, stream)
    effects.settle(effect)
    assert told == [("buffer", False)]
    effects.begin("omit")
    assert effects.played("omit") == []
    effects.forget(effects.begin("omit"))
