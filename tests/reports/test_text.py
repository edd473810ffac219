import pytest

from reports._text import markdown


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
        ("see http://h/x?y and HTTPS://h", "see http\\://h/x?y and HTTPS\\://h"),
        ("www.example.org, mailto:a, xmpp:b", "www\\.example.org, mailto\\:a, xmpp\\:b"),
        ("12:30 // a: b", "12:30 // a: b"),
    ],
)
def test_nothing_is_markup_in_markdown(text, shown):
    assert markdown(text) == shown
