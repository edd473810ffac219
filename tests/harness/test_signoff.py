import json
import shutil
from dataclasses import replace

import pytest

from harness import gate, selftest, signoff
from harness.check import Outcome, Verdict
from harness.config import load_config
from harness.errors import HarnessError
from harness.evidence import Signed
from harness.load import launch
from harness.policy import load_policy
from harness.requirements import CATALOGUE
from harness.results import Criterion, Decision, Results, RunResult, SelfTest, SignOff, to_json

POLICY = """
version = 1
name = "mine"
[stages.10]
scenarios = ["steady", "churn"]
seeds = 2
[stages.10.required]
QA-1 = { deliveries = 10 }
[stages.10.out_of_scope]
VAL-2 = "no browsers"
"""
SOUND = SelfTest(caught=3, planted=3, false_alarms=0)


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    return path


@pytest.fixture
def order(tmp_path, policy, fake_runs, monkeypatch):
    def ordered(**options):
        (tmp_path / "pyproject.toml").write_text("")
        config = load_config({"out": str(tmp_path / "out"), **options}, environ={}, folder=tmp_path)
        return signoff.ordered(config, stage=10, policy=policy, seed=5)

    for name in ("TOXIPROXY_SERVER", "TOXIPROXY_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(selftest, "stored", lambda: SOUND)
    return ordered


def test_an_order_has_every_scenario_of_the_stage_with_every_seed(order, tmp_path):
    one = order()
    assert [(job.scenario, job.seed) for job in one.jobs] == [("steady", 5), ("steady", 6), ("churn", 5), ("churn", 6)]
    assert one.jobs[0].out == str(tmp_path / "out" / "steady-5")
    assert one.out.is_dir()


def test_a_stage_that_names_no_scenario_gets_all(order, policy):
    policy.write_text(POLICY.replace('scenarios = ["steady", "churn"]', "").replace("seeds = 2", ""))
    assert {"steady", "churn", "isolation"} <= {job.scenario for job in order().jobs}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"churn"', '"chrun"', "there is no scenario 'chrun'; did you mean churn?"),
        ("stages.10", "stages.50", "policy mine has no stage 10; it has 50, add [stages.10]"),
    ],
)
def test_a_policy_that_does_not_fit_is_one_sentence_and_makes_no_folder(order, policy, tmp_path, old, new, sentence):
    policy.write_text(POLICY.replace(old, new))
    with pytest.raises(HarnessError) as caught:
        order()
    assert str(caught.value) == sentence
    assert not (tmp_path / "out").exists()


def test_the_shipped_policy_names_what_there_is(tmp_path, fake_runs, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("")
    config = load_config({"out": str(tmp_path / "out")}, environ={}, folder=tmp_path)
    one = signoff.ordered(config, stage=10, policy=None, seed=1)
    assert len(one.jobs) == len(load_policy(known=CATALOGUE, checks=signoff.known_checks()).stage(10).scenarios)


@pytest.mark.slow
def test_runs_that_say_nothing_are_hold_and_a_rehearsal(order, policy):
    results = signoff.signed_off(order())
    assert results.headline == "REHEARSAL HOLD"
    assert (results.kind, results.target, results.client) == ("signoff", "mock", "reference")
    assert results.client_policy == "resilient"
    assert len(results.runs) == 4
    assert {"python", "sse-harness", "code", "cores"} <= results.environment.keys()
    told = signoff.lines(results)
    label = load_policy(policy, known=CATALOGUE, checks=signoff.known_checks()).label
    assert told[0] == f"stage 10, policy {label}, target mock, client reference:"
    assert "  QA-1: not judged by any run" in told
    assert "  out of scope at this stage: VAL-2: no browsers" in told
    assert "  selftest (quick): caught 3/3, false alarms 0" in told


def test_with_a_client_of_the_users_it_is_no_rehearsal(order, tmp_path):
    (tmp_path / "mine.py").write_text("CAPABILITIES = frozenset()\n\n\nasync def subscribe(session): ...\n")
    assert signoff.signed_off(order(client=str(tmp_path / "mine.py"))).headline == "HOLD"


def test_interrupted_in_the_selftest_nothing_is_run(order, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(selftest, "stored", lambda: None)
    monkeypatch.setattr(selftest, "run_selftest", interrupted)
    results = signoff.signed_off(order())
    assert results.outcome is Decision.HOLD
    assert results.signoff.reasons[0] == signoff.INTERRUPTED
    assert results.runs == ()
    assert results.selftest is None


def test_what_was_interrupted_is_never_go_nor_no_go(policy):
    known = load_policy(policy, known=CATALOGUE, checks=signoff.known_checks())
    signed = Signed(target="mock", client="reference", own=True)
    decision = gate.decide(known, 10, [], now=0.0, selftest=SOUND, signed=signed)
    for outcome in Decision:
        held = signoff.held(type(decision)(**{**fields_of(decision), "outcome": outcome}))
        assert held.outcome is Decision.HOLD
        assert held.reasons == (signoff.INTERRUPTED, *decision.reasons)


def fields_of(decision):
    return {name: getattr(decision, name) for name in decision.__slots__}


def test_the_selftest_runs_where_none_is_stored(order, monkeypatch, capsys):
    class Found:
        summary = SOUND

    monkeypatch.setattr(selftest, "stored", lambda: None)
    monkeypatch.setattr(selftest, "run_selftest", lambda profile, say: (say(f"{profile}!"), Found)[1])
    assert signoff.selftested(()) == (SOUND, False)
    assert capsys.readouterr().err.splitlines() == [
        "no selftest is stored for this code and these versions: running the quick one first",
        "quick!",
    ]


WARNED = Verdict("x.y", ("VAL-2",), "MUST", "both", Outcome.FAIL, "", "seen", (), {})
SIGNED = SignOff(
    stage=10, outcome=Decision.GO, rehearsal=False, policy="p",
    warnings=("VAL-2: FAIL in steady (x.y): seen (out of scope)",),
    criteria=(Criterion(requirement="QA-1", outcome=Outcome.PASS, decision=Decision.GO),),
)  # fmt: skip
RAN = RunResult(
    scenario="steady", target="theirs", client="reference", outcome=Outcome.FAIL, history="", verdicts=(WARNED,)
)  # fmt: skip
BEFORE = Results(
    kind="signoff", target="theirs", client="reference", runs=(RAN,), signoff=SIGNED, selftest=SOUND, started=5.0,
    environment={"artefact": "abc"},
)  # fmt: skip


def saved(tmp_path, plain):
    text = plain if isinstance(plain, str) else json.dumps(plain)
    (tmp_path / "verdicts.json").write_text(text)
    return tmp_path


def test_the_stage_before_is_read_from_its_folder(tmp_path):
    before = signoff.previous_of(saved(tmp_path, to_json(BEFORE)))
    assert before == gate.Previous(stage=10, outcome=Decision.GO, rehearsal=False, at=5.0, artefact="abc", policy="p")
    assert signoff.previous_of(tmp_path / "verdicts.json") == before


@pytest.mark.parametrize(
    "changed",
    [
        {"schema": 99},
        {"kind": "run"},
        {"outcome": "NO-GO"},
        {"exit": 1},
        {"rehearsal": True},
        {"started": None},
        {"started": float("nan")},
        {"started": float("inf")},
        {"started": True},
        {"started": 10**400},
        {"environment": []},
        {"environment": {}},
        {"environment": {"artefact": 5}},
        {"signoff": []},
        {"signoff": {"rehearsal": None}},
        {"signoff": {"stage": 10.9}},
        {"signoff": {"stage": True}},
        {"signoff": {"stage": float("inf")}},
        {"signoff": {"outcome": "FINE"}},
        {"runs": []},
        {"runs": [to_json(BEFORE)["runs"][0] | {"outcome": "PASS"}]},
        {"runs": [to_json(BEFORE)["runs"][0] | {"verdicts": []}]},
        {"runs": [to_json(BEFORE)["runs"][0] | {"scenario": "churn"}]},
        {"selftest": None},
        {"selftest": {"caught": 1, "planted": 1, "false_alarms": 0}},
        {"selftest": {"caught": 0, "planted": 9, "false_alarms": 0, "missed": []}},
        {"selftest": {"caught": 9, "planted": 9, "false_alarms": 0, "missed": ["a: b did not ring"]}},
        {"signoff": {"criteria": []}},
        {"signoff": {"criteria": [to_json(BEFORE)["signoff"]["criteria"][0] | {"decision": "NO-GO"}]}},
        {"signoff": {"criteria": [to_json(BEFORE)["signoff"]["criteria"][0] | {"outcome": "SKIP"}]}},
        {"signoff": {"reasons": ["QA-1: FAIL in steady"]}},
        {"signoff": {"warnings": []}},
        "",
        "[]",
        "{}",
        "[" * 200_000,
    ],
)
def test_what_no_sign_off_wrote_is_no_stage_before(tmp_path, changed):
    if isinstance(changed, dict):
        plain = to_json(BEFORE)
        inner = changed.get("signoff")
        changed = {**plain, **changed, **({"signoff": {**plain["signoff"], **inner}} if inner else {})}
    with pytest.raises(HarnessError, match="holds no sign-off; give --previous the folder of one"):
        signoff.previous_of(saved(tmp_path, changed))


def test_a_name_too_long_for_a_folder_is_no_stage_before(tmp_path):
    with pytest.raises(HarnessError, match="holds no sign-off; give --previous the folder of one"):
        signoff.previous_of(tmp_path / ("x" * 300))


def test_a_hold_need_not_rest_on_anything(tmp_path):
    held = replace(BEFORE, runs=(), selftest=None, signoff=replace(SIGNED, outcome=Decision.HOLD, criteria=()))
    assert signoff.previous_of(saved(tmp_path, to_json(held))).outcome is Decision.HOLD


def test_the_artefact_is_target_and_client(order, tmp_path):
    one = order()
    shutil.rmtree(one.out)
    assert one.signed == order().signed
    client = tmp_path / "client.py"
    client.write_text("CAPABILITIES = frozenset()\nasync def subscribe(session): ...\n")
    shutil.rmtree(one.out)
    assert order(client=str(client)).signed.artefact != one.signed.artefact


def target_file(tmp_path, name):
    path = tmp_path / "theirs.toml"
    path.write_text(f'name = "{name}"\nurl = "http://127.0.0.1:9/"\n')
    return str(path)


def test_what_is_signed_off_is_the_users_target_whatever_is_probed_with_the_mock(order, policy, tmp_path):
    policy.write_text(POLICY.replace('"steady"', '"refused_for_good"'))
    file = target_file(tmp_path, "theirs")
    one = order(target=file)
    assert [job.target for job in one.jobs] == [None, None, file, file]
    assert (one.signed.target, one.signed.client, one.signed.own, one.target) == ("theirs", "reference", False, file)


def test_a_target_or_a_client_called_as_the_harness_s_own_is_one_sentence(order, tmp_path):
    with pytest.raises(HarnessError, match=r"theirs.toml calls its target 'mock', as the built-in one is; give it"):
        order(target=target_file(tmp_path, "mock"))
    (tmp_path / "locust.py").write_text("CAPABILITIES = frozenset()\nasync def subscribe(session): ...\n")
    with pytest.raises(HarnessError, match=r"locust.py' is called as the one of load runs is; give it another name"):
        order(client=str(tmp_path / "locust.py"))


LOAD = POLICY.replace("seeds = 2", 'load = { name = "steady", users = 2, seconds = 1, rate = 1 }')


@pytest.mark.parametrize("raised", [HarnessError("locust left no history (exit 1): no"), KeyboardInterrupt()])
def test_a_load_run_that_leaves_nothing_loses_nothing_else(order, policy, monkeypatch, raised):
    def launched(name, amount, *, out, target, seed):
        assert (name, amount.users, target, seed) == ("steady", 2, "mock", 5)
        raise raised

    monkeypatch.setattr(launch, "launch", launched)
    policy.write_text(LOAD)
    results = signoff.signed_off(order())
    assert results.outcome is Decision.HOLD
    assert [run.scenario for run in results.runs[:2]] == ["steady", "churn"]
    if isinstance(raised, KeyboardInterrupt):
        assert results.signoff.reasons[0] == signoff.INTERRUPTED
    else:
        lost = results.runs[2]
        assert (lost.scenario, lost.target, lost.client) == ("load_steady", "mock", "locust")
        assert "load_steady says nothing: locust left no history (exit 1): no" in results.signoff.reasons


def test_a_load_run_that_cannot_be_is_told_before_anything_runs(order, policy, tmp_path):
    policy.write_text(LOAD.replace('name = "steady"', 'name = "stedy"'))
    with pytest.raises(HarnessError, match=r"there is no load scenario 'stedy'; known: steady"):
        order()
    assert not (tmp_path / "out").exists()
