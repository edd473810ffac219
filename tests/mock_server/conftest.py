"""The mock server in a process of its own, and a client that sees raw bytes."""

import http.client
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

import pytest

DEADLINE = 10.0
CONTROL, SECRET = "control-token-of-the-test", "secret-of-the-test"


class Raw:
    """One connection, byte by byte."""

    def __init__(self, port, *, read_buffer=None):
        self.socket = socket.socket()
        if read_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, read_buffer)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(("127.0.0.1", port))
        self.seen = b""
        self.how = None

    def send(self, text):
        self.socket.sendall(text.encode("latin-1"))
        return self

    def more(self, timeout=DEADLINE):
        """Read once; False at the end, and `how` says which."""
        self.socket.settimeout(timeout)
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            self.how = "rst"
            return False
        if not data:
            self.how = "fin"
            return False
        self.seen += data
        return True

    def until(self, wanted):
        """Read until these bytes were seen, or a function of everything seen is true."""
        done = wanted if callable(wanted) else (lambda seen: wanted in seen)
        end = time.monotonic() + DEADLINE
        while not done(self.seen):
            assert time.monotonic() < end, f"never came; seen: {self.seen[-2000:]!r}"
            assert self.more(), f"ended by {self.how}; seen: {self.seen[-2000:]!r}"
        return self

    def to_end(self):
        while self.more():
            pass
        return self.how

    @property
    def status(self):
        self.until(b"\r\n\r\n")
        return int(self.seen.split(b" ", 2)[1])

    @property
    def head(self):
        self.until(b"\r\n\r\n")
        lines = self.seen.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    @property
    def body(self):
        """The body so far, out of its chunks, as far as they are whole."""
        rest = self.seen.partition(b"\r\n\r\n")[2]
        if b"transfer-encoding: chunked" not in self.seen.partition(b"\r\n\r\n")[0]:
            return rest
        body = b""
        while found := re.match(rb"([0-9a-f]+)\r\n", rest):
            size, start = int(found[1], 16), found.end()
            if size == 0 or len(rest) < start + size + 2:
                break
            body, rest = body + rest[start : start + size], rest[start + size + 2 :]
        return body

    @property
    def ids(self):
        return re.findall(r"^id: (.*)$", self.body.decode(), re.M)

    def until_ids(self, count):
        return self.until(lambda _: len(self.ids) >= count)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def leave(self):
        """Send FIN, also where bytes wait unread (closing would send RST then)."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()


class Mock:
    """A started server: its process, its ports and its control plane."""

    def __init__(self, folder, settings):
        environment = {**os.environ, "SSE_MOCK_CONTROL_TOKEN": CONTROL, "SSE_MOCK_SECRET": SECRET}
        self.folder = Path(folder)
        with (self.folder / "stderr.txt").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mock_server", "--stop-with-stdin",
                 "--history", str(self.folder / "server.jsonl"), "--settings", json.dumps(settings)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment,
            )  # fmt: skip
        self.line = self.process.stdout.readline()
        self.told = json.loads(self.line)
        self.port, self.control_port = self.told["port"], self.told["control_port"]
        self.opened = []

    def ask(self, method, path, order=None, token=CONTROL):
        connection = http.client.HTTPConnection("127.0.0.1", self.control_port, timeout=DEADLINE)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            connection.request(method, path, None if order is None else json.dumps(order), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def order(self, path, **order):
        status, answer = self.ask("POST", path, order)
        assert status == 200, answer
        return answer

    def stats(self):
        return self.ask("GET", "/stats")[1]

    def records(self, kind):
        return [one for one in self.ask("GET", "/history")[1]["records"] if one["kind"] == kind]

    def token(self, user="alice", ttl=600):
        return self.order("/token", user=user, ttl=ttl)["token"]

    def connect(self, *, read_buffer=None):
        raw = Raw(self.port, read_buffer=read_buffer)
        self.opened.append(raw)
        return raw

    def request(self, path="/api/stream/events", *, user="alice", token=..., method="GET", http="1.1", headers=None,
                sub=None, **more):  # fmt: skip
        token = self.token(user) if token is ... else token
        lines = [f"{method} {path}{f'?sub={sub}' if sub else ''} HTTP/{http}", "Host: test"]
        lines += [] if token is None else [f"Authorization: Bearer {token}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        return self.connect(**more).send("\r\n".join([*lines, "", ""]))

    def stream(self, *, last_event_id=None, **more):
        """An open stream."""
        headers = {**more.pop("headers", {}), **({} if last_event_id is None else {"Last-Event-ID": last_event_id})}
        raw = self.request(headers=headers, **more)
        assert raw.status == 200, raw.seen
        return raw.until(b"retry: ")

    def twin(self, path, *, user="alice", **query):
        raw = self.request(path + (f"?{urllib.parse.urlencode(query)}" if query else ""), user=user,
                           headers={"Connection": "close"})  # fmt: skip
        raw.to_end()
        return raw.seen.partition(b"\r\n\r\n")[2]

    def publish(self, user="alice", count=1, **more):
        return self.order("/publish", user=user, count=count, **more)["ids"]

    def until(self, condition):
        end = time.monotonic() + DEADLINE
        while not (found := condition()):
            assert time.monotonic() < end
            time.sleep(0.005)
        return found

    def incarnation(self):
        """The number of the one that answers; None while none does."""
        try:
            return self.stats()["incarnation"]
        except OSError:
            return None

    def restart(self, how, down=0.05):
        before = self.stats()["incarnation"]
        self.order("/restart", how=how, down=down)
        self.until(lambda: self.incarnation() == before + 1)

    def calm(self):
        """Close every connection and take back every fault; nothing is left of the test before."""
        for raw in self.opened:
            raw.close()
        self.opened.clear()
        self.order("/reset")
        self.order("/flag", enabled=True, percent=100)
        self.order("/drop", how="rst")
        self.until(lambda: self.stats()["open"] == 0)

    def stop(self):
        for raw in self.opened:
            raw.close()
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(DEADLINE)


@pytest.fixture(scope="session")
def shared_mock(tmp_path_factory):
    server = Mock(tmp_path_factory.mktemp("mock"), {"heartbeat": 0.2, "limit_per_user": 3, "replay_events": 20})
    yield server
    assert server.stop() == 0
    assert (server.folder / "stderr.txt").read_text() == ""


@pytest.fixture
def mock(shared_mock):
    """The shared server, calm: heartbeat 0.2 s, 3 streams a user, 20 events of replay."""
    yield shared_mock
    shared_mock.calm()


@pytest.fixture
def start_mock(tmp_path):
    """Start a server of one's own with these settings."""
    started = []

    def start(**settings):
        started.append(Mock(tmp_path, settings))
        return started[-1]

    yield start
    for server in started:
        server.stop()
