"""No token, and neither of the mock's secrets, is in anything that a command leaves behind or says.

The runs are real, the mock and the proxy in processes of their own; only the run itself is in this process, where each
token passes by and is noted.
"""

import os

import pytest

from harness import batch, cli, run, servers
from harness.live.background import Background
from tests.harness.doubles import HOLD, OPENED, Scripted, answer

SCENARIOS = ("token_expiry", "token_required", "kill_switch")
LEAST = 8  # characters of a secret that may show: a fingerprint has eight hex digits of a hash, and nothing of it


class Noted(set):
    """Every secret that was made or used."""

    def note(self, value):
        self.add(value.rpartition(" ")[2].removeprefix("access_token=").removeprefix("sid="))
        return value


@pytest.fixture
def noted(tmp_path, monkeypatch):
    """Notes the secrets of all runs, which take place in this process; no process of ours is told of any of this."""
    noted = Noted()
    made, admit, foreign = servers.secrets.token_urlsafe, servers.MockServer.admit, servers.ForeignServer.admit

    def admitting(original):
        async def admitted(self, user, ttl=None):
            let_in = await original(self, user, ttl)
            for value in (*let_in.headers.values(), *([let_in.query] if let_in.query else [])):
                noted.note(value)
            return let_in

        return admitted

    async def run_all(jobs, *, at_once, on_phase):
        for job in jobs:
            await run.record(job, lambda phase, job=job: on_phase(job, phase))
            on_phase(job, "done")
        return {}

    for name in [name for name in os.environ if name.startswith(("SSE_", "TOXIPROXY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(servers.secrets, "token_urlsafe", lambda *size: noted.note(made(*size)))
    monkeypatch.setattr(servers.MockServer, "admit", admitting(admit))
    monkeypatch.setattr(servers.ForeignServer, "admit", admitting(foreign))
    monkeypatch.setattr(batch, "run_all", run_all)
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return noted


def leaks(noted, told, *folders):
    """Where a secret, or as much of one as counts, was found."""
    found = []
    files = {str(path): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}
    for name, content in {**files, "what was said": told.encode()}.items():
        found += [f"{name}: {one[:4]}..." for one in noted if one.encode() in content or _half(one) in content]
    return found


def _half(secret):
    """The second half: a token of the mock begins with its user, which is no secret."""
    return secret[len(secret) // 2 :].encode()


@pytest.mark.ci
def test_a_batch_leaves_no_secret_behind(noted, tmp_path, capfd):
    code = cli.run_command(["run", *SCENARIOS, "--out", str(tmp_path / "out")])
    assert code in (0, 1, 3)
    told = "".join(capfd.readouterr())
    assert len(noted) >= 2 * len(SCENARIOS) + 4
    assert min(map(len, noted)) > 2 * LEAST
    history = (tmp_path / "out" / "token_expiry" / "history.jsonl").read_text()
    assert history.count('"authorization"') > 3
    assert {path.suffix for path in (tmp_path / "out").rglob("*") if path.is_file()} >= {
        ".html",
        ".json",
        ".jsonl",
        ".xml",
    }
    assert not leaks(noted, told, tmp_path / "out")


SCENARIO = """
from harness.scenario import *

scenario = Scenario(checks=(), needs=frozenset(), client={"poll_every": 0.05}, steps=(
    Probe("a"), Probe("b", token="truncated"), Open("more", count=1), Wait(0.3),
))
"""


@pytest.mark.ci
@pytest.mark.parametrize(
    ("how", "client"),
    [("bearer", "reference"), ("cookie:sid", "reference"), ("query", "reference"), ("query", "httpx_sse"),
     ("query", "./raises.py"), ("bearer", "./raises.py"), ("cookie:sid", "./raises.py")],
)  # fmt: skip
def test_a_servers_own_tokens_are_not_left_behind_however_they_are_carried(noted, tmp_path, capfd, how, client):
    """The server answers with what makes exceptions that carry the URL, and sends the token back in a Location."""
    secret = "tOkEn-of-aNN-that-nobody-may-see-0123456789"
    (tmp_path / "mine.py").write_text(SCENARIO)
    (tmp_path / "raises.py").write_text(
        "CAPABILITIES = frozenset()\n\nasync def subscribe(session):\n    session.opened()\n"
        "    session.error(f'cannot connect with {dict(session.headers)}')\n"
        "    raise ValueError(f'cannot open {session.url} for {session.user}: {dict(session.headers)}')\n"
    )
    back = answer(302, Location=f"/stream?access_token={secret}")

    there = Scripted(back, (OPENED, b"id: 1\ndata: x\n\n"), answer(500), (OPENED, HOLD))
    loop = Background()
    loop.call(there.__aenter__())
    try:
        (tmp_path / "target.toml").write_text(
            f'url = "{there.url}"\n[tokens]\nhow = "{how}"\n[tokens.list]\nann = "{secret}"\n'
        )
        arguments = ["./mine.py", "--target", "target.toml", "--client", client, "--out", str(tmp_path / "out")]
        assert cli.run_command(["run", *arguments]) in (0, 1, 3)
    finally:
        loop.call(there.__aexit__())
        loop.close()
    assert secret in noted
    assert any(secret in str((request.path, request.headers)) for request in there.requests)
    assert (tmp_path / "out" / "mine" / "history.jsonl").exists()
    assert not leaks(noted, "".join(capfd.readouterr()), tmp_path / "out")
