import json

import jsonschema
import pytest

from harness.results import JSON_SCHEMA
from reports import verdicts


@pytest.mark.parametrize("name", ["results", "hostile"])
def test_it_is_valid_and_ascii(request, tmp_path, name):
    path = verdicts.write(request.getfixturevalue(name), tmp_path)
    assert path == tmp_path / "verdicts.json"
    assert path.read_bytes().isascii()
    jsonschema.validate(json.loads(path.read_text()), JSON_SCHEMA)


def test_it_says_rehearsal_and_lists_every_run(results, tmp_path):
    told = json.loads(verdicts.write(results, tmp_path).read_text())
    assert (told["kind"], told["outcome"], told["exit"], told["rehearsal"]) == ("signoff", "NO-GO", 1, True)
    assert [(run["scenario"], run["outcome"]) for run in told["runs"]] == [
        ("steady", "PASS"), ("drop_fin", "FAIL"), ("silent_stall", "UNKNOWN"), ("unmount", "SKIP"),
    ]  # fmt: skip
