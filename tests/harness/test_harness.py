"""The public names."""

import subprocess
import sys

import pytest

import harness


def test_at_most_25_and_all_there():
    assert len(harness.__all__) == len(set(harness.__all__)) <= 25
    for name in harness.__all__:
        assert getattr(harness, name).__name__ == name
    assert set(harness.__all__) <= set(dir(harness))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'harness' has no attribute 'nope'"):
        harness.nope  # noqa: B018


@pytest.mark.slow
@pytest.mark.parametrize("first", ["import harness", "import harness.check", "from harness import judgement"])
def test_check_is_the_decorator_whoever_was_imported_first(first):
    code = f"{first}; from harness import check; assert callable(check); from harness.check import judge"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_importing_it_is_cheap():
    code = "import harness, sys; print(*sorted({'asyncio', 'httpx', 'starlette', 'rich', 'click'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
