import json

import pytest

from harness.errors import HarnessError
from harness.script import GOOD, Close, Finish, Reset, Respond, Stream, Wait
from mock_server.plans import Plans

A, B, C = (Wait(1), Finish()), (Wait(2), Finish()), (Wait(3), Finish())


def played(plans, sub=None):
    script, used = plans.choose(sub)
    plans.use(used)
    return script


def test_without_a_plan_the_good_script_is_played():
    assert played(Plans()) == GOOD


def test_scripts_are_played_in_the_order_they_came_each_as_often_as_said():
    plans = Plans()
    plans.add_scripts([A, B], sub=None, attempts=2)
    assert [played(plans) for _ in range(5)] == [A, A, B, B, GOOD]


def test_the_last_of_several_scripts_may_stay():
    plans = Plans()
    plans.add_scripts([A, B], sub=None, attempts=None)
    assert [played(plans) for _ in range(4)] == [A, B, B, B]


def test_a_script_for_one_subscriber_goes_before_one_for_any():
    plans = Plans()
    plans.add_scripts([A], sub=None, attempts=1)
    plans.add_scripts([B], sub="s", attempts=1)
    assert [played(plans, "s"), played(plans, "t"), played(plans, "s")] == [B, A, GOOD]


def test_choosing_alone_uses_nothing_up():
    plans = Plans()
    plans.add_scripts([A], sub=None, attempts=1)
    assert plans.choose(None)[0] == plans.choose(None)[0] == A


def test_faults_are_put_into_the_script_of_the_attempt():
    plans = Plans()
    plans.add_fault("dribble", {"seconds": 1}, sub=None, attempts=None)
    plans.add_fault("rst", {}, sub="s", attempts=1)
    assert played(plans, "s") == (Respond(), Stream(events=0, dribble=1), Reset())
    assert played(plans, "s") == (Respond(), Stream(dribble=1))
    plans.remove_fault("dribble")
    assert played(plans, "s") == GOOD


def test_faults_are_taken_back_by_name_by_subscriber_or_all():
    plans = Plans()
    for sub in ("s", "t"):
        plans.add_fault("fin", {}, sub=sub, attempts=None)
    plans.add_fault("rst", {}, sub="t", attempts=None)
    plans.remove_fault("fin", "s")
    assert [(one.fault, one.sub) for one in plans.faults] == [("fin", "t"), ("rst", "t")]
    plans.remove_fault(None)
    assert plans.faults == []


def test_plans_survive_a_restart():
    plans, again = Plans(), Plans()
    plans.add_scripts([A, (Respond(status=503), Close())], sub="s", attempts=1)
    plans.add_fault("fin", {"events": 2}, sub=None, attempts=3)
    again.restore(json.loads(json.dumps(plans.save())))
    assert (again.scripts, again.faults) == (plans.scripts, plans.faults)


@pytest.mark.parametrize("attempts", [0, -1, "x", 1.5])
def test_a_wrong_number_of_attempts_is_refused(attempts):
    with pytest.raises(HarnessError, match=r"^attempts is a whole number from 1, or null for all, not "):
        Plans().add_scripts([A], sub=None, attempts=attempts)


def test_an_unknown_fault_is_refused_before_an_attempt_meets_it():
    plans = Plans()
    with pytest.raises(HarnessError, match=r"^there is no fault 'flood'"):
        plans.add_fault("flood", {}, sub=None, attempts=1)
    assert plans.faults == []


def test_a_kept_fault_survives_a_reset_and_is_not_doubled_by_a_restart():
    plans = Plans()
    plans.add_fault("fin", {}, sub=None, attempts=None, kept=True)
    plans.add_fault("rst", {}, sub=None, attempts=None)
    plans.clear()
    assert [one.fault for one in plans.faults] == ["fin"]
    plans.restore(json.loads(json.dumps(plans.save())))
    assert [(one.fault, one.kept) for one in plans.faults] == [("fin", True)]
