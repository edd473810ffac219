import asyncio
import json
import os
import shlex
import signal
import sys
import time

import pytest

from harness import history, servers
from harness.errors import HarnessError
from harness.servers import ForeignServer, MockServer
from harness.target import Promises, Target, Tokens
from tests.harness import certificate
from tests.harness.doubles import Notes, Scripted, answer

HERE = "http://127.0.0.1:9/stream"
OK = answer(200, b"{}")
ECHO = f'{shlex.quote(sys.executable)} -c \'import sys; print(sys.argv[1:], sys.stdin.read(), file=open("told", "w"))\''


def made(notes=None, **target):
    return ForeignServer(Target(**{"name": "theirs", "url": HERE, **target}), notes or Notes())


def done(act, **target):
    """What `act` makes of a foreign server, and that server."""

    async def doing():
        server = made(**target)
        try:
            return await act(server), server
        finally:
            await server.stop()

    return asyncio.run(doing())


def refused(act, **target):
    with pytest.raises(HarnessError) as caught:
        done(act, **target)
    return str(caught.value)


def test_it_is_what_its_target_file_says():
    target = Target(
        name="theirs", url=HERE, promises=Promises(heartbeat=2.0), rest={"events": HERE}, hooks={"drop": "true"},
        ca_file=None,
    )  # fmt: skip
    _, server = done(noop, url=HERE, promises=target.promises, rest=target.rest, hooks=target.hooks)
    assert (server.name, server.url, server.own) == ("theirs", HERE, False)
    assert (server.promises.heartbeat, server.twins, server.ca_file) == (2.0, {"events": HERE}, None)
    assert server.capabilities == target.capabilities
    assert server.users(2) == ["u0", "u1"]


async def noop(server):
    return None


# Tokens


@pytest.mark.parametrize(
    ("how", "headers", "query"),
    [
        ("bearer", {"Authorization": "Bearer abc"}, ""),
        ("query", {}, "access_token=abc"),
        ("cookie:sid", {"Cookie": "sid=abc"}, ""),
    ],
)
def test_how_a_token_is_carried(how, headers, query):
    tokens = Tokens(known={"ann": "abc", "bob": "def"}, how=how)
    admitted, server = done(lambda server: server.admit("ann"), tokens=tokens)
    assert (admitted.headers, admitted.query) == (headers, query)
    assert server.users(1) == ["ann"]
    assert server.users(9) == ["ann", "bob"]


def test_without_tokens_everybody_is_let_in_as_he_is():
    admitted, _ = done(lambda server: server.admit("ann"))
    assert (admitted.headers, admitted.query) == ({}, "")


def test_a_user_without_a_token_is_one_sentence():
    told = refused(lambda server: server.admit("bob"), tokens=Tokens(known={"ann": "abc"}))
    assert told == "the target file knows no token of user 'bob'; add it under [tokens]"


@pytest.mark.slow
def test_a_command_mints_once_per_user_and_again_for_a_life_of_its_own(tmp_path):
    (tmp_path / "mint.py").write_text("import sys, time\nprint(*sys.argv[1:], time.monotonic_ns(), sep='-')\n")
    command = f"{shlex.quote(sys.executable)} mint.py {{user}} {{ttl}}"

    async def minted(server):
        return [
            (await server.admit("ann", ttl)).headers["Authorization"].split() for ttl in (None, None, 2.5, 2.5, None)
        ]

    told, _ = done(minted, tokens=Tokens(command=command), folder=tmp_path)
    assert {scheme for scheme, _ in told} == {"Bearer"}
    lasting, again, short, shorter, last = (token for _, token in told)
    assert lasting == again == last
    assert lasting.startswith("ann-3600-")
    assert short.startswith("ann-2.5-")
    assert short != shorter


# Hooks that are URLs


def hooked(*scripts, act, **target):
    """What `act` makes of a server whose hooks are URLs of a scripted one; what that heard; the records."""

    async def doing():
        async with Scripted(*scripts) as there:
            notes = Notes()
            hooks = {name: f"{there.origin}/{name}" for name in ("publish", "restart", "flag", "rollout", "stats")}
            server = made(notes, hooks=hooks, **target)
            try:
                return await act(server), there.requests, notes
            finally:
                await server.stop()

    return asyncio.run(doing())


def test_published_through_a_hook_it_is_recorded_with_both_ends_of_its_commitment(monkeypatch):
    monkeypatch.setenv("THEIR_HOOKS", "hush")

    async def publish(server):
        return [*await server.publish("ann", 2), *await server.publish(None, 1, "sentinel")]

    began = time.monotonic()
    digests, requests, notes = hooked(OK, act=publish, hook_token_env="THEIR_HOOKS")
    assert {request.headers["authorization"] for request in requests} == {"Bearer hush"}
    told = [json.loads(request.body) for request in requests]
    assert [(one["user"], one["type"]) for one in told] == [
        ("ann", servers.TYPES[1]), ("ann", servers.TYPES[2]), (None, "sentinel")
    ]  # fmt: skip
    assert [one["data"]["digest"] for one in told] == digests == notes.told("published", "digest")
    assert notes.told("published", "channel", "owner", "seq", "id") == [
        ("user:ann", "ann", 1, None), ("user:ann", "ann", 2, None), ("all", None, 1, None)
    ]  # fmt: skip
    for record in notes.of("published"):
        assert began <= record.t <= record["done"] <= time.monotonic()
    assert "hush" not in str(notes.records)


def test_commands_are_posted_and_changes_of_the_flag_recorded():
    async def command(server):
        await server.command("flag", enabled=False)
        await server.command("rollout", percent=0)
        await server.command("rollout", percent=50)
        await server.command("restart", how="crash", down=0.5)

    _, requests, notes = hooked(OK, act=command)
    assert [(request.path, json.loads(request.body)) for request in requests] == [
        ("/flag", {"enabled": False}), ("/rollout", {"percent": 0}), ("/rollout", {"percent": 50}),
        ("/restart", {"how": "crash", "down": 0.5}),
    ]  # fmt: skip
    assert notes.told("flag.set", "enabled", "percent") == [(False, None), (False, 0), (True, 50)]


def test_statistics_are_asked_for_where_there_is_a_hook():
    told, [request], _ = hooked(answer(200, b'{"open": 3}'), act=lambda server: server.stats())
    assert (told, request.method, request.path) == ({"open": 3}, "GET", "/stats")
    assert done(lambda server: server.stats())[0] is None


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (
            answer(404),
            r"^the hook stats \(http://127.0.0.1:\d+/stats\) answered 404; mend the hook or the target file$",
        ),
        (answer(200, b"<html>"), r"^the hook stats \(.*\) answered no JSON object; mend the hook or the target file$"),
        (answer(200, b"[1]"), r"^the hook stats \(.*\) answered no JSON object; mend the hook or the target file$"),
        ((), r"^the hook stats \(.*\) cannot be reached \(RemoteProtocolError\); start the server or mend"),
    ],
)
def test_statistics_that_are_none_are_one_sentence(script, sentence):
    with pytest.raises(HarnessError, match=sentence):
        hooked(script, act=lambda server: server.stats())


def test_a_hook_that_refuses_or_cannot_be_reached_is_one_sentence():
    with pytest.raises(
        HarnessError, match=r"^the hook flag \(http://.*/flag\) answered 500; mend the hook or the target"
    ):
        hooked(answer(500), act=lambda server: server.command("flag", enabled=True))
    with pytest.raises(
        HarnessError, match=r"^the hook flag \(http://.*/flag\) cannot be reached \(\w+\); start the server"
    ):
        hooked((), act=lambda server: server.command("flag", enabled=True))


# Hooks that are commands


@pytest.mark.slow
def test_a_command_gets_its_fields_in_its_words_and_on_its_standard_input(tmp_path):
    hooks = {"flag": ECHO + " x{enabled}", "drop": ECHO + " '{how}'"}
    done(lambda server: server.command("drop", how="fin; rm -r"), hooks=hooks, folder=tmp_path)
    assert (tmp_path / "told").read_text() == '[\'fin; rm -r\'] {"how": "fin; rm -r"}\n'
    done(lambda server: server.command("flag", enabled=True), hooks=hooks, folder=tmp_path)
    assert (tmp_path / "told").read_text() == "['xTrue'] {\"enabled\": true}\n"


@pytest.mark.slow
def test_an_event_can_be_published_by_a_command(tmp_path):
    [digest], server = done(
        lambda server: server.publish("ann"), hooks={"publish": ECHO + " {user} {type}"}, folder=tmp_path
    )
    told = (tmp_path / "told").read_text()
    assert told.startswith(f"['ann', '{servers.TYPES[1]}'] ")
    assert json.loads(told.partition("] ")[2])["data"]["digest"] == digest
    assert server.writer.told("published", "digest") == [digest]


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("./no-such-program", "hook drop of the target file cannot be started (No such file or directory: "
         "./no-such-program); mend it"),
        ("false", "hook drop of the target file ended with exit 1; mend it"),
    ],
)  # fmt: skip
def test_a_command_that_fails_is_one_sentence(tmp_path, command, sentence):
    told = refused(lambda server: server.command("drop", how="fin"), hooks={"drop": command}, folder=tmp_path)
    assert told == sentence


@pytest.mark.slow
def test_a_command_that_does_not_end_is_ended(monkeypatch, tmp_path):
    monkeypatch.setattr(servers, "START_WITHIN", 0.05)
    told = refused(lambda server: server.admit("ann"), tokens=Tokens(command="sleep 60"), folder=tmp_path)
    assert told == "tokens.command of the target file did not end within 0 s; mend it"


@pytest.mark.slow
def test_a_daemon_that_a_command_leaves_behind_keeps_nobody_waiting(monkeypatch, tmp_path):
    monkeypatch.setattr(servers, "START_WITHIN", 10.0)
    tokens = Tokens(command=f"sh -c 'sleep 60 & echo $! > {tmp_path}/pid; echo token'")
    admitted, _ = done(lambda server: server.admit("ann"), tokens=tokens, folder=tmp_path)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert admitted.headers == {"Authorization": "Bearer token"}


def test_a_foreign_server_never_dies_by_our_word():
    async def waited(server):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await server.died()

    done(waited)


@pytest.mark.slow
def test_hooks_trust_the_certificates_of_the_target_file(tmp_path):
    ca_file, tls = certificate.made(tmp_path)

    async def posted(trusted):
        async with Scripted(OK, tls=tls) as there:
            server = made(url=there.url, hooks={"drop": f"{there.origin}/drop"}, ca_file=trusted)
            try:
                await server.command("drop", how="fin")
                return there.requests
            finally:
                await server.stop()

    assert [request.path for request in asyncio.run(posted(ca_file))] == ["/drop"]
    with pytest.raises(HarnessError, match=r"cannot be reached \(ConnectError\)"):
        asyncio.run(posted(None))


# The mock


@pytest.mark.slow
def test_the_mock_in_a_process_of_its_own(tmp_path):
    async def played():
        server = await MockServer.start(tmp_path / "server.jsonl", {"heartbeat": 0.5})
        try:
            assert (server.promises.heartbeat, server.own, server.users(2)) == (0.5, True, ["u0", "u1"])
            assert server.capabilities == MockServer.offers
            assert server.twins["dashboard"].endswith("/api/dashboard")
            first, again, short = [await server.admit("u0", ttl) for ttl in (None, None, 5.0)]
            assert first is again
            assert first.headers != short.headers
            assert len(await server.publish("u0", 3)) == 3
            [sentinel] = await server.publish(None, 1, "sentinel")
            await server.command("restart", how="graceful", down=0.05)
            await server.command("rollout", percent=100)
            assert (await server.stats())["open"] == 0
            with pytest.raises(HarnessError, match=r"^the mock's control plane refused /fault: .*fog"):
                await server.command("fault", name="fog", parameters={}, attempts=None, sub=None)
            dying = asyncio.create_task(server.died())
        finally:
            await server.stop()
        assert (await dying).startswith("the mock server died (exit ")
        return sentinel

    sentinel = asyncio.run(played())
    records = history.merge(history.read(path) for path in tmp_path.glob("server*.jsonl"))
    assert [one["type"] for one in records.of("published")].count("sentinel") == 1
    assert records.of("published")[-1]["digest"] == sentinel
    assert len(records.of("server.start")) == 2


@pytest.mark.slow
def test_a_mock_that_does_not_start_is_one_sentence(tmp_path):
    with pytest.raises(
        HarnessError, match=r"^the mock server did not start \(exit \d\); run `sse-harness mock` to see"
    ):
        asyncio.run(MockServer.start(tmp_path / "server.jsonl", {"nonsense": 1}))


def test_a_body_has_what_must_be_escaped():
    text = servers.body_of("metric", 1)["text"]
    assert {"\n", "\u2028", "<"} <= set(text)
