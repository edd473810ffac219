import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from mock_server.auth import Identity, Refusal, bearer, cookie, mint, verify


def test_a_good_token_says_who_and_until_when():
    assert verify("s", mint("s", "änn", 10.5), now=10.0) == Identity("änn", 10.5)


def test_a_token_is_expired_at_its_expiry():
    assert verify("s", mint("s", "ann", 10.0), now=10.0) == Refusal("expired", "ann", 10.0)


@pytest.mark.parametrize(
    "token, reason", [(None, "missing"), ("", "missing"), ("x", "malformed"), ("ä.b", "malformed")]
)
def test_what_is_no_token(token, reason):
    assert verify("s", token, now=0.0) == Refusal(reason)


def test_a_token_of_another_secret_is_forged():
    assert verify("s", mint("t", "ann", 10.0), now=0.0) == Refusal("forged")


def test_a_token_is_bounded():
    assert verify("s", mint("s", "ann", 10.0) + "A" * 5000, now=0.0) == Refusal("malformed")


@pytest.mark.slow
@given(st.data())
def test_no_changed_token_is_accepted(data):
    token = mint("s", "ann", 10.0)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("abcXYZ019-_.=").filter(lambda one: one != token[place]))
    changed = token[:place] + other + token[place + 1 :]
    assert isinstance(verify("s", changed, now=0.0), Refusal)


@pytest.mark.slow
@given(st.text(max_size=200))
def test_anything_may_come_as_a_token(text):
    assert isinstance(verify("s", text, now=0.0), Refusal)


@pytest.mark.parametrize("user", ["", "a\nb", "x" * 201])
def test_a_user_is_a_printable_name(user):
    with pytest.raises(HarnessError, match=r"^a user is 1 to 200 printable characters"):
        mint("s", user, 1.0)


@pytest.mark.parametrize(
    "header, token", [("Bearer a.b", "a.b"), ("bearer  a", "a"), ("Basic a", None), ("", None), (None, None)]
)
def test_the_token_of_a_header(header, token):
    assert bearer(header) == token


@pytest.mark.parametrize(
    "header, value",
    [
        (None, None),
        ("", None),
        ("access_token=a.b", "a.b"),
        ('x=1;access_token="a.b" ; y=2', "a.b"),
        ("not_access_token=a; access_token=b; access_token=c", "b"),
        ("access_token", ""),
    ],
)
def test_the_token_of_a_cookie(header, value):
    assert cookie(header, "access_token") == value
