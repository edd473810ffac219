import sys
from xml.etree import ElementTree as ET

import pytest

from reports import _svg
from reports._view import Window

CURVES = {"deliveries per second": [(float(t), t % 7) for t in range(2000)], "<b>\x00ü": [(0.0, 1.0)]}


@pytest.mark.slow
def test_a_picture_stands_alone_in_a_page():
    drawn = _svg.plot(CURVES, [Window("<script>", 3.0, 9.0)], 4)
    root = ET.fromstring(drawn)  # noqa: S314 - our own drawing
    assert root.get("aria-label") == "deliveries per second, <b>?? over time"
    assert (root.get("role"), root.get("width"), root.get("height")) == ("img", None, None)
    assert all(one.get("id", "p4-").startswith("p4-") for one in root.iter())
    assert "var(--plot)" in drawn
    assert "var(--fault)" in drawn
    assert "#010203" not in drawn
    assert "<script" not in drawn
    assert "<metadata" not in drawn
    assert len(drawn) < 200_000


@pytest.mark.slow
def test_the_same_data_make_the_same_picture():
    assert _svg.plot(CURVES, [], 1) == _svg.plot(CURVES, [], 1)


def test_without_matplotlib_there_is_no_picture(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert _svg.plot(CURVES, [], 1) is None
