from dataclasses import replace

import pytest

from harness.errors import HarnessError
from harness.target import Promises, Target, Tokens, is_loopback, load_target

URL = 'url = "http://127.0.0.1:8000/api/stream/events"\n'


@pytest.fixture
def load(tmp_path):
    def write(text, **files):
        for name, content in files.items():
            (tmp_path / name).write_text(content)
        (tmp_path / "target.toml").write_text(text)
        return load_target(tmp_path / "target.toml")

    return write


def test_a_whole_target_file(load, tmp_path):
    target = load(
        'name = "orders"\n' + URL + 'hook_token_env = "HOOKS"\nca_file = "ca"\n'
        '[tokens]\ncommand = "mint {user} --ttl {ttl}"\nhow = "cookie:sid"\n'
        '[hooks]\npublish = "http://localhost:8000/test/publish"\nrestart = "svc restart {how}"\n'
        "[promises]\nheartbeat = 15\nreplay_events = 500\nlimit_per_user = 4\nunauthorized = [401]\n"
        'reset_event = ""\nrestart_keeps_replay = true\n'
        '[schemas]\norder = "order"\n',
        ca="pem", order='{"type": "object"}',
    )  # fmt: skip
    assert target == Target(
        name="orders", url="http://127.0.0.1:8000/api/stream/events", folder=tmp_path, ca_file=tmp_path / "ca",
        tokens=Tokens(command="mint {user} --ttl {ttl}", how="cookie:sid"),
        hooks={"publish": "http://localhost:8000/test/publish", "restart": "svc restart {how}"},
        hook_token_env="HOOKS",
        promises=Promises(
            heartbeat=15.0, replay_events=500, limit_per_user=4, unauthorized=(401,), reset_event=None,
            restart_keeps_replay=True, schemas={"order": {"type": "object"}},
        ),
    )  # fmt: skip
    assert target.capabilities == {"auth", "mint", "publish", "restart", "limit", "replay", "heartbeat"}


def test_a_roll_out_needs_a_hook_and_the_rest_twins(load):
    twins = '[rest]\nevents = "http://127.0.0.1:8000/e"\ndashboard = "http://127.0.0.1:8000/d"\n'
    target = load(URL + twins + '[hooks]\nrollout = "flag set {percent}"')
    assert target.rest == {"events": "http://127.0.0.1:8000/e", "dashboard": "http://127.0.0.1:8000/d"}
    assert {"rollout", "rest"} <= target.capabilities
    assert "rest" not in load(URL + '[rest]\nevents = "http://127.0.0.1:8000/e"').capabilities


def test_the_least_target_file(load):
    target = load(URL)
    assert target.name == "target"
    assert target.promises == Promises()
    assert target.capabilities == frozenset()


def test_tokens_from_a_list_or_a_file(load):
    assert load(URL + '[tokens]\nlist = { alice = "A", bob = "B" }').tokens.known == {"alice": "A", "bob": "B"}
    target = load(URL + '[tokens]\nfile = "t"\nhow = "query"', t="# who  what\n\nalice  A\nbob B\n")
    assert target.tokens.known == {"alice": "A", "bob": "B"}
    assert target.capabilities == {"auth"}


def test_no_token_in_the_text_of_a_target(load):
    assert "SECRET" not in repr(load(URL + '[tokens]\nlist = { alice = "SECRET" }'))


def test_another_machine_only_if_allowed(load):
    remote = 'url = "https://staging.example/events"\n'
    assert load("allow_remote = true\n" + remote).allow_remote
    with pytest.raises(HarnessError, match=r"leads to staging\.example, which is not this machine; set allow_remote"):
        load(remote)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost", "api.localhost"])
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "0.0.0.0", "localhost.example", "::2", "xlocalhost"])
def test_not_loopback(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the field 'url' is missing; add url = a string in quotes"),
        ("urls = 1", "there is no field 'urls'; did you mean 'url'?"),
        ("url = 5", "'url' is a whole number; write a string in quotes"),
        ('url = "127.0.0.1:8000/x"', "'url' needs a scheme and a host; write it like http://127.0.0.1:8000/path"),
        *(
            (
                f'url = "http://127.0.0.1/{one}x"',
                "'url' has a line end or another control character in it; take it out",
            )
            for one in (r"\n", r"\t", r"\u007f")
        ),
        (
            URL + "[tokens]\nlist = {}",
            "[tokens]: 'list' is empty; give a token by user, or leave [tokens] out if there is no auth",
        ),
        (
            URL + '[hooks]\npublish = "http://127.0.0.1/\\n"',
            "[hooks]: 'publish' has a line end or another control character in it; take it out",
        ),
        ('url = "http:///x"', "'url' needs a scheme and a host; write it like http://127.0.0.1:8000/path"),
        ('url = "ftp://127.0.0.1/x"', "'url' needs a scheme and a host; write it like http://127.0.0.1:8000/path"),
        ('url = "http://u:p@127.0.0.1/x"', "'url' carries a user or password; use [tokens] or hook_token_env instead"),
        (
            URL + '[tokens]\nlist = {a = "b"}\nfile = "t"',
            "[tokens]: list and file exclude each other; keep one of them",
        ),
        (URL + '[tokens]\nhow = "header"', "[tokens]: 'how' is 'header'; write bearer, query or cookie:NAME"),
        (URL + '[tokens]\nhow = "cookie: "', "[tokens]: 'how' is 'cookie: '; write bearer, query or cookie:NAME"),
        (URL + '[tokens]\ncommand = "mint {name}"', "[tokens]: 'command' has no placeholder {name}; it has user, ttl"),
        (URL + '[tokens]\ncommand = " "', "[tokens]: 'command' is empty; give a command or leave it out"),
        (
            URL + '[tokens]\nlist = {a = "b c"}',
            "[tokens] [list]: 'a' is no token that a header can carry; give ASCII without blanks",
        ),
        (URL + '[hooks]\nreset = "x"', "[hooks]: there is no field 'reset'; did you mean 'restart'?"),
        (
            URL + '[hooks]\nstats = "cat x"',
            "[hooks]: 'stats' needs a scheme and a host; write it like http://127.0.0.1:8000/path",
        ),
        (
            URL + '[hooks]\nrestart = "http://10.0.0.1/r"',
            "[hooks]: 'restart' leads to 10.0.0.1, which is not this machine; set allow_remote = true if it may",
        ),
        (
            URL + "[promises]\nheartbeat = 0",
            "[promises]: 'heartbeat' is 0.0; give a number above 0, or leave it out if it is not promised",
        ),
        (
            URL + "[promises]\nmax_latency = nan",
            "[promises]: 'max_latency' is nan; give a number above 0, or leave it out if it is not promised",
        ),
        (URL + "[promises]\nlimit_per_user = 1.5", "[promises]: 'limit_per_user' is a number; write a whole number"),
        (URL + "[promises]\nhartbeat = 1", "[promises]: there is no field 'hartbeat'; did you mean 'heartbeat'?"),
        (
            URL + "[promises]\nunauthorized = [200]",
            "[promises]: 'unauthorized' is [200]; give a list of statuses such as [401, 403]",
        ),
        (
            URL + "[promises]\nunauthorized = []",
            "[promises]: 'unauthorized' is []; give a list of statuses such as [401, 403]",
        ),
    ],
)
def test_each_fault_is_one_sentence(load, tmp_path, text, sentence):
    with pytest.raises(HarnessError) as caught:
        load(text)
    where = " " if sentence.startswith("[") else ": "
    assert str(caught.value) == f"{tmp_path}/target.toml{where}{sentence}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('ca_file = "no.pem"\n' + URL, r"'ca_file' leads to .*no\.pem, which does not exist; mend the path"),
        ('url = "http://[::1/x"', r"'url' is no URL \(.*\); write it like http://"),
        ('url = "http://127.0.0.1:99999/x"', r"'url' is no URL \(.*\); write it like http://"),
        (URL + '[tokens]\nfile = "no"', r"'file' leads to .*no, which cannot be read; write lines of user and token"),
        (URL + '[tokens]\nfile = "empty"', r"'file' leads to .*empty, which holds no token; write lines"),
        (URL + '[tokens]\nfile = "bare"', r"'bare line 1' is no token that a header can carry"),
        (URL + '[tokens]\ncommand = "mint \'x"', r"'command' is no command \(No closing quotation\); mend its quotes"),
        (URL + '[hooks]\nflag = "set {"', r"'flag' is no command \(.*\); mend its quotes"),
        (URL + '[schemas]\nx = "no"', r"'x' leads to .*no, which cannot be read; mend the path"),
        (URL + '[schemas]\nx = "bare"', r"'x' leads to .*bare, which is no JSON; mend that file"),
        (URL + '[schemas]\nx = "schema"', r"'x' leads to .*schema, which is no JSON Schema \(.*\); mend it"),
    ],
)
def test_faults_of_the_files_that_it_names(load, text, sentence):
    with pytest.raises(HarnessError, match=sentence):
        load(text, empty="# nothing\n", bare="alice\n", schema='{"type": 5}')


def test_promises_survive_a_header():
    promises = Promises(heartbeat=2.0, unauthorized=(401,), schemas={"a": {}})
    assert Promises.of({"promises": {**promises.as_dict(), "later": 1}}) == promises
    assert Promises.of({"promises": {"unauthorized": [403]}}).unauthorized == (403,)
    assert replace(Promises(), heartbeat=1.0) == Promises.of({"promises": {"heartbeat": 1.0}})
