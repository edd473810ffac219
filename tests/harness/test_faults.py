import inspect

import pytest

from harness import faults
from harness.faults import FAULTS, applied
from harness.script import GOOD, from_json, to_json


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_every_fault_is_documented_in_one_line_and_changes_the_good_script_into_one_that_json_can_carry(name):
    assert FAULTS[name].__doc__.count("\n") == 0
    script = applied(name)
    assert script != GOOD
    assert from_json(to_json(script)) == script


def test_every_file_of_the_folder_is_imported():
    files = {inspect.getsourcefile(one).rpartition("/")[2] for one in FAULTS.values()}
    assert files == {"answers.py", "contents.py", "endings.py"}
    assert set(faults.__all__) <= set(dir(faults))
