import math

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, TargetingKeyMissingError, TypeMismatchError

from harness.errors import HarnessError
from mock_server.flag import NAME, Flag, Percentage

USERS = [f"user-{number}" for number in range(4000)]


def on(percent, users=USERS, **more):
    flag = Flag(percent=percent, **more)
    return {user for user in users if flag.is_on(user)}


@pytest.mark.slow
def test_a_rollout_is_sticky_and_monotone():
    assert on(0) == set()
    assert on(10) < on(50) < on(100) == set(USERS)
    assert on(10) == on(10)


@pytest.mark.parametrize("percent", [10, 50])
def test_a_rollout_reaches_its_share_within_the_binomial_band(percent):
    share, users = percent / 100, USERS[:1000]
    band = 4 * math.sqrt(len(users) * share * (1 - share))
    assert abs(len(on(percent, users)) - len(users) * share) < band


def test_a_user_by_name_goes_before_the_rest_until_everybody_is_told():
    flag = Flag(enabled=False)
    flag.set(enabled=True, user="ann")
    assert (flag.is_on("ann"), flag.is_on("bob")) == (True, False)
    flag.set(enabled=False)
    assert not flag.is_on("ann")


@pytest.mark.parametrize("change", [{}, {"percent": 101}, {"user": "ann"}])
def test_a_change_that_says_nothing_is_refused(change):
    with pytest.raises(HarnessError):
        Flag().set(**change)


def test_the_provider_knows_one_boolean_flag_of_a_user():
    provider = Percentage(lambda user: user == "ann")
    assert provider.resolve_boolean_details(NAME, False, EvaluationContext("ann")).value
    assert not provider.resolve_boolean_details(NAME, True, EvaluationContext("bob")).value
    with pytest.raises(FlagNotFoundError):
        provider.resolve_boolean_details("other", False, EvaluationContext("ann"))
    with pytest.raises(TargetingKeyMissingError):
        provider.resolve_boolean_details(NAME, False)
    for ask, default in (("string", ""), ("integer", 0), ("float", 0.0), ("object", {})):
        with pytest.raises(TypeMismatchError):
            getattr(provider, f"resolve_{ask}_details")(NAME, default)


def test_two_flags_know_nothing_of_each_other():
    first, second = Flag(percent=0), Flag(percent=100)
    assert (first.is_on("ann"), second.is_on("ann")) == (False, True)


def test_its_defects():
    users = USERS[:200]
    assert len(on(10, users, defects={"flag-wrong-share"})) > len(on(10, users))
    assert not on(10, users, defects={"flag-not-monotone"}) <= on(50, users, defects={"flag-not-monotone"})
    drawn = Flag(percent=50, defects={"flag-not-sticky"})
    assert len({drawn.is_on("ann") for _ in range(50)}) == 2
