"""The greenlet driver against a scripted peer on a real socket, in a process that is patched."""

import pytest

pytestmark = pytest.mark.slow

PEER = r'''
import random, socket, time
import gevent
from harness.load.transport import Sockets
from harness.subscriber import Options

class Session:
    """Notes what it is told, and when it has seen enough it ends its own greenlet."""
    url, headers, rng, at = "", {"Authorization": "Bearer t"}, random.Random(1), None
    def __init__(self): self.told = []
    def __getattr__(self, name):
        return lambda *words, **more: self.told.append((name, *words, *more.values()))

def serve(*answers):
    """A peer that answers each connection with one of these and then closes it (a list: leaves it open)."""
    server = socket.create_server(("127.0.0.1", 0))
    heads, held = [], []
    def accept():
        for answer in answers:
            sock, _ = server.accept()
            heads.append(sock.recv(65536))
            pieces = answer if isinstance(answer, list) else [answer]
            held.append(sock)
            for piece in pieces:
                sock.sendall(piece)
                gevent.sleep(0.005)
            if not isinstance(answer, list):
                sock.close()
    return server, heads, held, gevent.spawn(accept)

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
FAST = dict(reconnection_time=0.01, backoff_base=0.01, backoff_cap=0.02)

def drive(server, until, *, refresh=lambda: None, **options):
    session, closed = Session(), []
    session.url = f"http://127.0.0.1:{server.getsockname()[1]}/s?sub=1"
    running = gevent.spawn(Sockets().run, session, Options(**{**FAST, **options}), refresh=refresh,
                           closing=lambda: closed.append(len(session.told)))
    deadline = time.monotonic() + 10
    while not until(session.told) and not running.ready():
        assert time.monotonic() < deadline, session.told
        gevent.sleep(0.005)
    running.kill()
    return session.told, closed, running

def names(told): return [one[0] for one in told]
'''


def test_events_of_two_connections_the_second_resumed(patched):
    patched(
        PEER
        + r"""
server, heads, held, accepting = serve(OK + b"id: 7\ndata: a\n\nid: 8\ndata: torn", [OK, b"data: ", b"b\n\n"])
told, closed, _ = drive(server, lambda told: names(told).count("event") == 2)
assert [one[1:] for one in told if one[0] == "event"] == [("7", "message", "a"), ("7", "message", "b")], told
assert b"last-event-id: 7" in heads[1].lower() and b"last-event-id" not in heads[0].lower(), heads
assert heads[0].startswith(b"GET /s?sub=1 HTTP/1.1\r\n") and b"Authorization: Bearer t" in heads[0]
ended = next(one for one in told if one[0] == "ended")
assert ended[1] == "end of stream" and ended[3] == 1, ended
assert len(closed) == 1 and names(told)[closed[0]:] == ["ended", "state"], (closed, told)
held[1].settimeout(5); assert held[1].recv(1) == b""   # our end is closed
"""
    )


def test_a_silent_peer_is_left_at_the_deadline(patched):
    patched(
        PEER
        + r"""
server, *_ = serve([OK], [OK])
told, *_ = drive(server, lambda told: names(told).count("opened") == 2, heartbeat_deadline=0.1)
assert any(one[0] == "error" and "nothing heard" in one[1] for one in told), told
"""
    )


def test_a_refused_connection_is_a_network_error(patched):
    patched(
        PEER
        + r"""
server, *_ = serve()
server.close()
class Gone:
    def getsockname(self): return ("127.0.0.1", port)
free = socket.socket(); free.bind(("127.0.0.1", 0)); port = free.getsockname()[1]
told, *_ = drive(Gone(), lambda told: names(told).count("waiting") == 2)
assert any("refused" in one[1].lower() for one in told if one[0] == "error"), told
"""
    )


def test_many_may_be_refused_at_a_time(patched):
    """As when a load balancer goes away: each is a network error, and no subscriber ends by it."""
    patched(
        PEER
        + r"""
from harness.load.transport import Names
shared, free = Names(), socket.socket()
free.bind(("127.0.0.1", 0))
def refused():
    try: shared.connect("127.0.0.1", free.getsockname()[1], None)
    except OSError as exc: return "refused" in str(exc).lower()
asked = [gevent.spawn(refused) for _ in range(3)]
gevent.joinall(asked)
assert all(one.value for one in asked), asked
"""
    )


def test_a_new_token_is_fetched_once_after_a_401(patched):
    patched(
        PEER
        + r"""
server, heads, *_ = serve(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", [OK])
told, *_ = drive(server, lambda told: "opened" in names(told), refresh=lambda: {"Authorization": "Bearer new"})
assert b"Bearer new" in heads[1], heads
"""
    )


def test_redirects_are_not_followed(patched):
    patched(
        PEER
        + r"""
server, heads, *_ = serve(b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n")
told, closed, running = drive(server, lambda told: False)
assert len(heads) == 1 and names(told)[-1] == "error", told
assert running.successful() and not closed
"""
    )


def test_a_peer_that_sends_without_end_leaves_others_their_turn(patched):
    patched(
        PEER
        + r"""
server, *_ = serve([OK + b": x\n" * 300_000])
class Counting(Session):
    comments = 0
    def comment(self, text): self.comments += 1
Session, turns, run = Counting, 0, True
def others():
    global turns
    while run:
        gevent.sleep(0); turns += 1
waiting = gevent.spawn(others)
session = Counting()
session.url = f"http://127.0.0.1:{server.getsockname()[1]}/"
running = gevent.spawn(Sockets().run, session, Options(), refresh=None, closing=lambda: None)
before = 0
while session.comments < 300_000:
    gevent.sleep(0)
    before += 0 < session.comments < 300_000
run = False; waiting.join(); running.kill()
assert before >= 3, before
"""
    )


def test_a_host_is_asked_for_once_and_again_after_nobody_was_there(patched):
    patched(
        PEER
        + r"""
from harness.load.transport import Names

asked, real = [], socket.getaddrinfo
def noting(*words, **more):
    asked.append(words)
    return real(*words, **more)
socket.getaddrinfo = noting

server = socket.create_server(("127.0.0.1", 0))
port, known = server.getsockname()[1], Names()
for _ in range(3):
    known.connect("127.0.0.1", port, None).close()
assert asked == [("127.0.0.1", port)]
late = 0
try:
    known.connect("127.0.0.1", port, time.monotonic() - 1)
except TimeoutError:
    late += 1
server.close()
for _ in range(2):
    try:
        known.connect("127.0.0.1", port, None)
    except ConnectionRefusedError:
        late += 1
assert late == 3
assert len(asked) == 3, asked

# The second address of a host is tried where the first refuses.
server = socket.create_server(("127.0.0.1", 0))
there = server.getsockname()[1]
known.known["host", 1] = [one for to in (port, there) for one in real("127.0.0.1", to, type=socket.SOCK_STREAM)]
known.connect("host", 1, None).close()
known.known["host", 2] = []
socket.getaddrinfo = lambda *words, **more: []
try:
    known.connect("host", 2, None)
except ConnectionError as exc:
    assert str(exc) == "host has no address"
else:
    raise AssertionError("there was an address")
"""
    )
