import pytest

from harness.plaintext import one_line, plain, redacted
from harness.redaction import fingerprint


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("\x00\x1b\r\x7f\x9f", "\\x00\\x1b\\x0d\\x7f\\x9f"),
        ("\u202eabc\u2066\u200b\ufeff", "\\u202eabc\\u2066\\u200b\\ufeff"),
        ("\ud800 \ufffe \U000e0041", "\\ud800 \\ufffe \\U000e0041"),
        ("grün 中文 😀", "grün 中文 😀"),
        (7, "7"),
    ],
)
def test_what_is_invisible_becomes_visible(text, shown):
    assert plain(text) == shown
    plain(text).encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("shop\nGO\n", "shop GO "),
        ("a \t\n\t b\r\nc", "a b\\x0d c"),
        ("  PASS    steady: a\tb", "  PASS    steady: a b"),
        ("\nGO", " GO"),
    ],
)
def test_one_line_stays_one_and_keeps_its_columns(text, shown):
    assert one_line(text) == shown


def test_a_huge_text_is_cut_and_says_so():
    assert plain("x" * 5000, 10) == "xxxxxxxxxx … (4,990 more characters)"
    assert len(plain("\x00" * 10**6)) < 9000


@pytest.mark.parametrize("token", ["s3cr3t.t0k3n-of_alice", "a:b", "x:deadbee", "x:deadbeef0", "%41%42"])
@pytest.mark.parametrize(
    "place", ["access_token={}", "GET /x?access_token={}&b=2", 'raised "http://h/?ACCESS_TOKEN={}"']
)
def test_no_token_is_shown(token, place):
    assert redacted(place.format(token)) == plain(place.format(token)) == place.format(fingerprint(token, None))


def test_a_fingerprint_stays_what_it_is():
    told = f"(/x?access_token={fingerprint('t', 'alice')}&b=2, access_token={fingerprint('t', None)})"
    assert redacted(told) == told


def test_a_token_that_is_cut_is_not_shown_either():
    assert "s3cr" not in plain("x" * 20 + "access_token=s3cr3t", 37)
