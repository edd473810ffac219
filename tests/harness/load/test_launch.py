import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.judgement import judged
from harness.load.launch import Load, command, launch, located


def test_a_name_and_a_path_lead_to_a_locustfile(tmp_path):
    assert located("steady").name == "steady.py"
    (tmp_path / "mine.py").touch()
    assert located(str(tmp_path / "mine.py")) == tmp_path / "mine.py"
    with pytest.raises(HarnessError, match=r"there is no load scenario 'stedy'; known: .*steady"):
        located("stedy")
    with pytest.raises(HarnessError, match=r"there is no locustfile nope\.py"):
        located("./nope.py")


def test_the_load_is_bounded_on_the_command_line():
    words = command(Path("f.py"), Load(users=3, seconds=4, rate=2.5, processes=2), out=Path("o"))
    text = " ".join(words)
    assert "--headless --only-summary -u 3 -r 20 -t 4s --sse-out o --sse-seed 1 --sse-rate 2.5 --processes 2" in text


@pytest.mark.slow
def test_importing_it_patches_nothing():
    program = "import sys, harness.load, harness.load.launch; print({'locust', 'gevent'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


@pytest.mark.slow
def test_what_is_wrong_with_the_target_is_said_in_one_sentence(tmp_path):
    with pytest.raises(HarnessError, match=r"exit 2\): .*nope.toml cannot be read"):
        launch("steady", Load(users=1, seconds=1), out=tmp_path / "o", target=str(tmp_path / "nope.toml"))


@pytest.mark.slow
def test_a_launched_load_is_judged_like_any_run(tmp_path):
    history = launch("steady", Load(users=4, seconds=3, rate=10), out=tmp_path / "o")
    assert history == tmp_path / "o" / "load_steady" / "history.jsonl"
    run = judged(history)
    assert (run.scenario, run.target, run.client) == ("load_steady", "mock", "locust")
    assert run.figures["users"] == 4
    with pytest.raises(HarnessError, match="holds a run already"):
        launch("steady", Load(), out=tmp_path / "o")
