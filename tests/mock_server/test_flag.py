import math

import pytest

from harness.errors import HarnessError
from mock_server.flag import Flag

USERS = [f"user-{number}" for number in range(4000)]


def on(percent):
    return {user for user in USERS if Flag(percent=percent).is_on(user)}


@pytest.mark.slow
def test_a_rollout_is_sticky_and_monotone():
    assert on(0) == set()
    assert on(10) < on(50) < on(100) == set(USERS)
    assert on(10) == on(10)


@pytest.mark.parametrize("percent", [10, 50])
def test_a_rollout_reaches_its_share_within_the_binomial_band(percent):
    share = percent / 100
    band = 4 * math.sqrt(len(USERS) * share * (1 - share))
    assert abs(len(on(percent)) - len(USERS) * share) < band


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
