import subprocess
import sys
from dataclasses import replace

import pytest

import reports
from harness.errors import HarnessError


def test_every_format_is_found_by_its_file_name(results, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    written = reports.write_all(results, tmp_path / "new" / "out")
    assert {path.name for path in written} == {"report.html", "report.md", "verdicts.json", "junit.xml"}
    assert all(path.is_file() for path in written)


def test_only_some(results, tmp_path):
    assert reports.write_all(results, tmp_path, only=["junit"]) == [tmp_path / "junit.xml"]
    assert [path.name for path in tmp_path.iterdir()] == ["junit.xml"]


def test_a_format_of_ones_own(results, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "short.py").write_text(
        '"""One line."""\ndef write(results, out):\n'
        '    path = out / "short.txt"\n    path.write_text(results.headline)\n    return path\n'
    )
    assert reports.write_all(results, tmp_path, only=["short"], folders=[folder])[0].read_text() == "REHEARSAL NO-GO"
    assert reports.write_all(results, tmp_path, only=[str(folder / "short.py")]) == [tmp_path / "short.txt"]


def test_a_format_that_fails_does_not_cost_the_others(results, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "broken.py").write_text("def write(results, out):\n    raise ValueError('no')\n")
    (folder / "empty.py").write_text("")
    (folder / "ends.py").write_text("def write(results, out):\n    raise SystemExit(0)\n")
    (folder / "full.py").write_text("def write(results, out):\n    raise OSError(28, 'No space left on device')\n")
    wanted = ["broken", "empty", "ends", "full", "jnit", "junit"]
    with pytest.raises(HarnessError) as caught:
        reports.write_all(results, tmp_path, only=wanted, folders=[folder])
    assert str(caught.value) == (
        "report 'broken' failed: ValueError: no; mend it; report 'empty' defines no `write(results, out)`; add it; "
        "report 'ends' failed: SystemExit: 0; mend it; report 'full' cannot be written ([Errno 28] No space left on "
        "device); make room, or give another folder with --out; there is no report 'jnit'; did you mean junit?"
    )
    assert (tmp_path / "junit.xml").is_file()


@pytest.mark.slow
def test_nothing_is_imported_that_is_not_needed():
    code = "import reports, sys; print(sorted({'jinja2', 'matplotlib', 'reports.html'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_format_shows_a_token_or_makes_a_link_of_what_a_peer_said(hostile, tmp_path):
    secret, named = "s3cr3tt0k3n", "http://evil.example/?access_token=s3cr3tt0k3n"
    bad = replace(hostile.runs[0].verdicts[0], check=named, actual=named, evidence=(named,), measured={named: 1.0})
    run = replace(
        hostile.runs[0], scenario=named, client=named, target=named, reason=named, verdicts=(bad,), history=named,
        figures={named: 1.0}, series={named: [(0.0, 1.0)], f"fault: {named}": [(0.0, 1.0)]},
    )  # fmt: skip
    short = replace(run, scenario=f"access_token={secret}", series={f"access_token={secret}": [(0.0, 1.0)]})
    told = replace(hostile, runs=(run, short), target=named, environment={named: named})
    for path in reports.write_all(told, tmp_path):
        text = path.read_text("utf-8")
        assert secret not in text, path.name
        assert path.suffix != ".md" or "http://" not in text
