import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from harness.results import Decision
from reports import html


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Writes a report without plots (each costs a second) and reads it."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    return lambda results: Page(html.write(results, tmp_path).read_text("utf-8"))


def test_the_verdict_and_its_reasons_come_first(results, page):
    text = page(results).text
    places = [
        text.index(one)
        for one in (
            "REHEARSAL NO-GO A check failed", "no stage can be approved", "Why not GO", "QA-1: FAIL in drop_fin",
            "Claim", "Warnings", "unmount was skipped", "Out of scope at this stage", "VAL-2", "QA-1 (in part)",
            "Criteria", "Scenarios Scenario", "Accounts: entitled = delivered",
            "31 of 31 planted defects caught", "starlette",
        )
    ]  # fmt: skip
    assert places == sorted(places)


@pytest.mark.parametrize("decision", Decision)
def test_go_prints_what_is_out_of_scope_too(results, page, decision):
    signoff = replace(results.signoff, outcome=decision, rehearsal=False, reasons=(), warnings=(), out_of_scope=())
    text = page(replace(results, signoff=signoff)).text
    assert "Out of scope at this stage Nothing." in text
    assert "REHEARSAL" not in text


def test_it_needs_neither_network_nor_javascript(results, hostile, page):
    for one in (results, hostile):
        elements = page(one).elements
        assert not {"script", "link", "img", "iframe", "object", "form", "base"} & {tag for tag, _ in elements}
        assert not any(name.startswith("on") for _, attributes in elements for name in attributes)
        links = [attributes["href"] for tag, attributes in elements if tag == "a"]
        assert all(link.startswith("#") for link in links)
        targets = {attributes.get("id") for _, attributes in elements}
        assert {link[1:] for link in links} <= targets


def test_hostile_text_is_shown_as_text(hostile, page, tmp_path):
    text = page(hostile).text
    assert "<script>alert(1)</script>]]>\\x00\\x1b[31m\\x85\\u202egnp\\ud800\\ufffe|a b\\x0d # c `d`" in text
    raw = (tmp_path / "report.html").read_text("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", raw)
    assert len(raw) < 200_000


def test_an_outcome_is_never_told_by_colour_alone(results, page, tmp_path):
    page(results)
    raw = (tmp_path / "report.html").read_text("utf-8")
    for word, sign in (("PASS", "✓"), ("FAIL", "✕"), ("UNKNOWN", "?"), ("SKIP", "–"), ("HOLD", "‖"), ("NO-GO", "✕")):
        assert f'<span aria-hidden="true">{sign}</span> {word}</span>' in raw


def test_without_matplotlib_there_are_tables_and_the_page_says_so(results, page):
    text = page(results).text
    assert "Tables in place of plots: matplotlib is not installed" in text
    assert "deliveries per second 15" in text


@pytest.mark.slow
def test_with_matplotlib_there_are_plots(results, tmp_path):
    pytest.importorskip("matplotlib")
    found = Page(html.write(results, tmp_path).read_text("utf-8"))
    assert len([tag for tag, _ in found.elements if tag == "svg"]) == 3
    assert "Tables in place of plots" not in found.text
    ids = [attributes["id"] for tag, attributes in found.elements if tag == "svg" and "id" in attributes]
    assert len(ids) == len(set(ids))


def test_a_matrix_and_a_run_without_a_gate(results, page):
    plain = replace(results, signoff=None, selftest=None, environment={})
    runs = tuple(replace(run, figures={}, accounts=()) for run in results.runs)
    text = page(replace(plain, kind="matrix", runs=runs)).text
    assert "Clients by requirement" in text
    assert "FAIL At least one check failed." in text
    assert "Criteria" not in text
    assert "Clients by requirement" not in page(replace(plain, kind="run")).text


def test_what_a_selftest_missed_is_told(hostile, page):
    assert "0 of 1 planted defects caught, 2 false alarms" in page(hostile).text


COLOURS = {
    "light": {"good": ("#11693c", "#e3f4ea"), "bad": ("#b3261e", "#fdeae8"), "warn": ("#8a5200", "#fdf1dc"),
              "muted": ("#55606e", "#f6f7f9"), "fault": ("#b45309", "#ffffff")},
    "dark": {"good": ("#6fd39b", "#14311f"), "bad": ("#ff9a90", "#3c1a18"), "warn": ("#f3bd68", "#372812"),
             "muted": ("#a3aeba", "#0f141a"), "fault": ("#f0a24a", "#171e26")},
}  # fmt: skip


@pytest.mark.parametrize(("ink", "paper"), [pair for theme in COLOURS.values() for pair in theme.values()])
def test_colours_have_contrast(results, page, tmp_path, ink, paper):
    page(results)
    assert ink in (tmp_path / "report.html").read_text("utf-8")
    light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def luminance(colour):
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
