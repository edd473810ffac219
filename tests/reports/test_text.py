import pytest

from reports._text import markdown, plain


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


def test_a_huge_text_is_cut_and_says_so():
    assert plain("x" * 5000, 10) == "xxxxxxxxxx … (4,990 more characters)"
    assert len(plain("\x00" * 10**6)) < 9000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("drop_fin", "drop_fin"),
        ("_a_ *b* `c` ~d~ $e$", "\\_a\\_ \\*b\\* \\`c\\` \\~d\\~ \\$e\\$"),
        ("a|b\nc\r\nd", "a\\|b c\\\\x0d d"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("![x](javascript:alert(1))", "\\!\\[x\\](javascript:alert(1))"),
        ("<javascript:alert(1)>", "&lt;javascript:alert(1)&gt;"),
        ("# h", "\\# h"),
        ("- x", "\\- x"),
        ("12. x", "12\\. x"),
        ("12 of 30", "12 of 30"),
        ("3.11.9", "3.11.9"),
        ("@all", "&#64;all"),
        ("back\\slash", "back\\\\slash"),
    ],
)
def test_nothing_is_markup_in_markdown(text, shown):
    assert markdown(text) == shown
