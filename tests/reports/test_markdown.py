import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from reports import markdown


@pytest.fixture
def parsed(tmp_path):
    """The report as text, and what a Markdown reader makes of it."""

    def read(results):
        text = markdown.write(results, tmp_path).read_text("utf-8")
        return text, MarkdownIt("commonmark").enable("table").parse(text)

    return read


def rows(tokens):
    """The number of cells of each table row."""
    counts = []
    for token in tokens:
        if token.type == "tr_open":
            counts.append(0)
        elif token.type in ("td_open", "th_open"):
            counts[-1] += 1
    return counts


def separators(text):
    return len(re.findall(r"^\|(-+:?\|)+$", text, re.MULTILINE))


def kinds(tokens):
    return {one.type for token in tokens for one in [token, *(token.children or [])]}


def test_the_verdict_and_its_reasons_come_first(results, parsed):
    text, _ = parsed(results)
    assert text.startswith("# ✕ REHEARSAL NO-GO · stage 10 %\n")
    assert text.endswith("**REHEARSAL NO-GO**\n")
    order = (
        "REHEARSAL**: target and client",
        "## Why not GO",
        "## Claim",
        "## Out of scope",
        "## Criteria",
        "### steady",
    )
    places = [text.index(one) for one in order]
    assert places == sorted(places)


def test_tables_are_tables(results, parsed):
    text, tokens = parsed(results)
    tables = [token for token in tokens if token.type == "table_open"]
    assert len(tables) == separators(text)
    assert len(rows(tokens)) == len(re.findall(r"^\|", text, re.MULTILINE)) - len(tables)


def test_hostile_text_is_no_markup(hostile, results, parsed):
    text, tokens = parsed(hostile)
    assert not {"html_block", "html_inline", "link_open", "image", "fence", "code_block"} & kinds(tokens)
    assert "javascript:" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", text)
    headings = [tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open"]
    assert all(not heading.startswith("c ") for heading in headings)
    assert len([one for one in tokens if one.type == "table_open"]) == separators(text)


def test_a_matrix_and_a_run_without_a_gate(results, parsed):
    plain = replace(results, signoff=None, selftest=None, environment={}, kind="matrix", client_policy="")
    text, tokens = parsed(plain)
    assert text.startswith("# ✕ FAIL\n")
    assert "## Clients by requirement" in text
    assert len([one for one in tokens if one.type == "table_open"]) == separators(text)


def test_a_go_without_reasons(results, parsed):
    signoff = replace(results.signoff, reasons=(), warnings=(), out_of_scope=(), claim="")
    text, _ = parsed(replace(results, signoff=signoff, runs=()))
    assert "Nothing." in text
    assert "Why not GO" not in text
