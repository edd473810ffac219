"""No credential survives, wherever it stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import redaction

SECRET = "s3cr3t.t0k3n-of_alice"


@pytest.mark.parametrize("name", ["Authorization", "COOKIE", "set-cookie", "Proxy-Authorization"])
def test_no_secret_header_reaches_a_record(name):
    told = redaction.redact_headers([(name, f"Bearer {SECRET}"), ("Accept", "text/event-stream")], "alice")
    assert SECRET not in str(told)
    assert told["accept"] == "text/event-stream"
    assert told[name.lower()].startswith("alice:")


def test_a_token_has_the_same_fingerprint_in_a_header_and_in_a_query():
    [header] = redaction.redact_headers([("authorization", f"Bearer {SECRET}")], "alice").values()
    assert redaction.redact_url(f"/x?a=1&access_token={SECRET}&b=2", "alice") == f"/x?a=1&access_token={header}&b=2"
    assert redaction.fingerprint("t", None).startswith("?:")


@given(st.text(alphabet=st.characters(exclude_characters="&# \t\r\n\f\v", exclude_categories=["Z", "C"]), min_size=9))
def test_no_token_in_a_url_survives(token):
    shown = redaction.fingerprint(token, "u")
    assert redaction.redact_url(f"http://h/p?access_token={token}#f", "u") == f"http://h/p?access_token={shown}#f"


def test_no_token_survives_in_a_text_of_unknown_make():
    told = f"KeyError: {{'authorization': 'Bearer {SECRET}'}} GET /x?access_token={SECRET} BEARER {SECRET}"
    assert SECRET not in redaction.redact_text(told)
    assert redaction.redact_text("no secret") == "no secret"


def test_every_credential_of_a_request_is_known_with_what_stands_for_it():
    headers = {
        "Authorization": f"Bearer {SECRET}",
        "Cookie": "a=short; session=c00k1e-of-alice",
        "Accept": "text/plain",
    }
    assert redaction.header_credentials(headers, "alice") == {
        one: redaction.fingerprint(one, "alice") for one in (SECRET, "c00k1e-of-alice")
    }
    told = redaction.query_credentials("http://h/x?access_token=a%2Fb%2Fc%2Fd&b=2", None)
    assert set(told) == {"a%2Fb%2Fc%2Fd", "a/b/c/d"}
    assert redaction.query_credentials("http://h/x?access_token=short", None) == {}


def test_a_credential_is_hidden_wherever_it_stands():
    value = {f"x {SECRET}": [SECRET, 5, {"deep": f"<{SECRET}>"}], "none": None}
    assert redaction.hidden(value, {SECRET: "alice:0"}) == {
        "x alice:0": ["alice:0", 5, {"deep": "<alice:0>"}],
        "none": None,
    }
