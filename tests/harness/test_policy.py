import re
from pathlib import Path

import pytest

import scenarios
from harness import checks
from harness.check import REGISTRY
from harness.errors import HarnessError
from harness.policy import load_policy
from harness.requirements import CATALOGUE, PLAN, SERVER

SECTION_A = {one.id for one in CATALOGUE.values() if one.source == PLAN}
SECTION_C = {one.id for one in CATALOGUE.values() if one.source == SERVER}


def shipped():
    checks.load()
    return load_policy(known=CATALOGUE, checks={name: one.requirements for name, one in REGISTRY.items()})


@pytest.fixture
def load(tmp_path):
    def write(text):
        path = tmp_path / "policy.toml"
        path.write_text(text)
        return load_policy(path, known={"QA-1", "QA-2", "VAL-1"}, checks={"a.b": ("QA-1",)})

    return write


def test_the_plan_has_29_requirements():
    assert len(SECTION_A) == 29


def test_the_default_has_each_product_requirement_in_exactly_one_list_per_stage():
    for stage in shipped().stages.values():
        assert set(stage.required) | set(stage.out_of_scope) == SECTION_A | SECTION_C
        assert not set(stage.required) & set(stage.out_of_scope)


def test_the_default_names_scenarios_that_exist():
    known = {path.stem for path in Path(scenarios.__file__).parent.glob("*.py")}
    for stage in shipped().stages.values():
        assert set(stage.scenarios) <= known


def test_the_default_names_checks_for_each_requirement():
    for requirement, need in shipped().stage(100).required.items():
        assert need.checks, requirement


def test_what_the_default_leaves_out_of_the_server_no_check_judges_and_the_rest_one_does():
    judged = {id for one in REGISTRY.values() for id in one.requirements if id in SECTION_C}
    for stage in shipped().stages.values():
        assert judged == stage.required.keys() & SECTION_C


def test_the_default_has_the_server_judged_where_it_holds_on_to_something():
    required = shipped().stage(10).required
    slots = {name for name, need in required.items() if "cleanup.server_slots" in need.checks}
    assert slots == {"QA-3", "PM-2", "SRV-9"}
    assert "limits.slot_freed" in required["PM-3"].checks
    assert "no token is written down" in required["SEC-2"].uncovered


def test_the_default_asks_for_enough_deliveries_for_its_claim():
    stage = shipped().stage(10)
    assert stage.required["QA-1"].least["deliveries"] == 3000
    assert (stage.loss_rate, stage.confidence) == (1e-3, 0.95)


def test_a_stage_that_the_policy_does_not_have():
    with pytest.raises(HarnessError, match=r"^policy default has no stage 25; it has 10, 50, 100, add \[stages.25\]$"):
        shipped().stage(25)


def test_a_policy_of_ones_own(load):
    policy = load(
        'version = 1\nname = "ours"\n[stages.50]\nscenarios = ["steady"]\nmax_age_days = 2\nprevious_stage = 10\n'
        "previous_within_days = 14\nseeds = 3\nusers = 500\n[stages.50.margins]\nloss_rate = 1e-4\nconfidence = 0.99\n"
        '[stages.50.required]\nQA-1 = { deliveries = 30000, checks = ["a.b"], uncovered = "rendering" }\nQA-2 = {}\n'
        '[stages.50.out_of_scope]\nVAL-1 = "by hand"\n'
    )
    stage = policy.stage(50)
    assert (policy.name, stage.percent, stage.scenarios) == ("ours", 50, ("steady",))
    assert (stage.max_age_days, stage.previous_stage, stage.previous_within_days) == (2.0, 10, 14.0)
    assert (stage.seeds, stage.users, stage.loss_rate, stage.confidence) == (3, 500, 1e-4, 0.99)
    assert stage.required["QA-1"].least == {"deliveries": 30000.0}
    assert (stage.required["QA-1"].checks, stage.required["QA-1"].uncovered) == (("a.b",), "rendering")
    assert stage.out_of_scope == {"VAL-1": "by hand"}


def test_a_policy_is_known_by_what_it_says_not_by_how_or_by_its_name(load):
    text = 'version = 1\nname = "ours"\n[stages.10]\nseeds = 2\nusers = 5\n[stages.10.required]\nQA-1 = {}\n'
    same = text.replace("seeds = 2\nusers = 5", "# a remark\nusers = 5\nseeds = 2")
    labels = [load(one).label for one in (text, same, text.replace("seeds = 2", "seeds = 1"))]
    assert labels[0] == labels[1] != labels[2]
    assert re.fullmatch("ours, version 1, [0-9a-f]{8}", labels[0])


def test_a_policy_without_stages(load):
    with pytest.raises(HarnessError, match="policy policy has no stage 10; it has none, add"):
        load("version = 1\n").stage(10)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the field 'version' is missing; add version = a whole number"),
        ("version = 2", "'version' is 2 and this sse-harness knows 1; rewrite the policy"),
        ("version = 1\nstage = 1", "there is no field 'stage'; did you mean 'stages'?"),
        ("version = 1\n[stages.ten]", "'ten' is no stage; write a percentage such as [stages.10]"),
        ("version = 1\n[stages.010]", "'010' is no stage; write a percentage such as [stages.10]"),
        ("version = 1\n[stages.101]", "'101' is no stage; write a percentage such as [stages.10]"),
        ("version = 1\n[stages.10]\nsedes = 1", "there is no field 'sedes'; did you mean 'seeds'?"),
        ("version = 1\n[stages.10.required]\nQA-3 = {}", "'QA-3' is no requirement; did you mean 'QA-2'?"),
        ("version = 1\n[stages.10.required]\nX = {}", "'X' is no requirement; the fields are QA-1, QA-2, VAL-1"),
        (
            "version = 1\n[stages.10.required]\nQA-1 = {delivery = 1}",
            "there is no field 'delivery'; did you mean 'deliveries'?",
        ),
        (
            "version = 1\n[stages.10.required]\nQA-1 = {users = -1}",
            "'users' is -1.0; give a number that is not negative",
        ),
        ("version = 1\n[stages.10.required]\nQA-1 = 3", "'QA-1' is a whole number; write a table"),
        ('version = 1\n[stages.10.out_of_scope]\nQA-9 = "x"', "'QA-9' is no requirement; did you mean 'QA-2'?"),
        (
            'version = 1\n[stages.10.out_of_scope]\nQA-1 = " "',
            "QA-1 is out of scope without a reason; give the sentence to print",
        ),
        (
            'version = 1\n[stages.10.required]\nQA-1 = {}\n[stages.10.out_of_scope]\nQA-1 = "x"',
            "QA-1 is required and out of scope; keep one of the two",
        ),
        ("version = 1\n[stages.10]", "the stage requires nothing; add a table [required.ID] for each requirement"),
        (
            'version = 1\n[stages.10.required]\nQA-1 = {checks = ["a.c"]}',
            "'a.c' is no check; did you mean 'a.b'?",
        ),
        (
            'version = 1\n[stages.10.required]\nQA-2 = {checks = ["a.b"]}',
            "a.b does not judge QA-2; name one that does, see `sse-harness list checks`",
        ),
        *(
            (f"version = 1\n[stages.10]\n{name} = {value}\n[stages.10.required]\nQA-1 = {{}}", sentence)
            for name, value, sentence in (
                ("users", 0, "'users' is 0; give a number above 0"),
                ("users", -5, "'users' is -5; give a number above 0"),
                ("seeds", 0, "'seeds' is 0; give a number above 0"),
                ("max_age_days", "inf", "'max_age_days' is inf; give a number above 0"),
                ("max_age_days", -1, "'max_age_days' is -1.0; give a number above 0"),
                ("previous_within_days", "nan", "'previous_within_days' is nan; give a number above 0"),
                ("previous_stage", 10, "'previous_stage' is 10; give a lower stage than 10"),
                ("previous_stage", 0, "'previous_stage' is 0; give a lower stage than 10"),
                ("load", "{users = 0, seconds = 1, rate = 1}", "'users' is 0; give a number above 0"),
                ("load", "{users = 5001, seconds = 1, rate = 1}",
                 "'users' is 5001; give a number above 0 and at most 5000"),
                ("load", "{users = 1, seconds = 0, rate = 1}", "'seconds' is 0; give a number above 0"),
                ("load", "{users = 1, seconds = 1.9, rate = 1}", "'seconds' is a number; write a whole number"),
                ("load", "{users = 1, seconds = 3601, rate = 1}",
                 "'seconds' is 3601; give a number above 0 and at most 3600"),
                ("load", "{users = 1, seconds = 1, rate = 1001}",
                 "'rate' is 1001.0; give a number above 0 and at most 1000"),
                ("load", "{users = 1, seconds = 1}", "the field 'rate' is missing; add rate = a number"),
            )
        ),
        (
            "version = 1\n[stages.10.required]\nQA-1 = {}\n[stages.10.margins]\nconfidence = 95",
            "'confidence' is 95.0; give a number between 0 and 1",
        ),
    ],
)  # fmt: skip
def test_each_fault_is_one_sentence(load, tmp_path, text, sentence):
    where = rf"^{re.escape(str(tmp_path))}/policy\.toml( \[.*\])*: "
    with pytest.raises(HarnessError, match=where + re.escape(sentence)):
        load(text)


LADDER = """
version = 1
[stages.50]
extends = 10
scenarios = ["rollout"]
users = 1000
load = { users = 1000, seconds = 30, rate = 40 }
[stages.50.required]
VAL-1 = { runs = 2 }
[stages.50.out_of_scope]
QA-2 = "later"
[stages.10]
scenarios = ["steady"]
seeds = 5
[stages.10.required]
QA-1 = { deliveries = 10 }
QA-2 = {}
[stages.10.out_of_scope]
VAL-1 = "not yet"
"""


def test_a_stage_extends_a_lower_one_and_its_own_word_counts(load):
    low, high = load(LADDER).stage(10), load(LADDER).stage(50)
    assert high.scenarios == ("steady", "rollout")
    assert (high.seeds, high.users, low.users) == (5, 1000, 1)
    assert set(high.required) == {"QA-1", "VAL-1"}
    assert high.out_of_scope == {"QA-2": "later"}
    assert low.load is None
    assert high.load is not None
    assert (high.load.name, high.load.users, high.load.seconds, high.load.rate) == ("steady", 1000, 30, 40)


def test_a_stage_extends_only_a_lower_one(load):
    with pytest.raises(HarnessError, match=r"'extends' is 20, which is no lower stage of this file"):
        load(LADDER.replace("extends = 10", "extends = 20"))


def test_the_default_stages_ask_for_ever_more():
    policy = shipped()
    ten, fifty, hundred = (policy.stage(percent) for percent in (10, 50, 100))
    assert [one.required["QA-1"].least["deliveries"] for one in (ten, fifty, hundred)] == [3000, 30000, 300000]
    assert [one.users for one in (ten, fifty, hundred)] == [100, 1000, 2000]
    assert [one.previous_stage for one in (ten, fifty, hundred)] == [None, 10, 50]
    assert fifty.previous_within_days == 7
    assert fifty.seeds == 5
    assert "rollback" in hundred.scenarios
    assert {*ten.required} < {*fifty.required} < {*hundred.required}
