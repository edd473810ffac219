"""A Toxiproxy server (the embedded one and, where it is installed, the real one) and real sockets on both sides."""

import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import requests


def real():
    """The binary of the real server: what TOXIPROXY_SERVER names, or on PATH, or where `make toxiproxy` puts it."""
    named = os.environ.get("TOXIPROXY_SERVER")
    beside = Path(sys.executable).with_name("toxiproxy-server")
    found = shutil.which("toxiproxy-server") or (str(beside) if beside.exists() else None)
    return found if named in (None, "", "embedded") else named


REAL = real()
INSTALL = "make toxiproxy"

# What a test may see differently on the real server, 2.12.
DIFFERENCES = {
    "reset_live": "reset_peer added to a live link gives FIN",
    "upstream_rst": "a RST of the upstream reaches the client as FIN",
    "client_rst": "a RST of the client reaches the upstream as FIN",
    "half_close": "a half close closes both directions",
    "hostile": "a negative rate or a slicer of size 0 ends the server",
    "reserved": "a disabled proxy's port is not reported and not reserved",
    "timer": "each dropped chunk arms the timer of timeout anew",
    "guard": "a request with Origin or a foreign Host is answered",
    "refused_upstream": "the client of an upstream that refuses is closed with FIN",
}


class Peer:
    """An upstream on loopback and the pairs of sockets that connect to it through a proxy."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.listener.settimeout(10)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.open = [self.listener]

    def connect(self, listen):
        host, port = listen.rsplit(":", 1)
        client = socket.create_connection((host, int(port)), timeout=10)
        self.open.append(client)
        return client

    def pair(self, listen):
        client = self.connect(listen)
        upstream, _ = self.listener.accept()
        upstream.settimeout(10)
        self.open.append(upstream)
        return client, upstream

    def close(self):
        for one in self.open:
            one.close()


def read(sock, count):
    got = b""
    while len(got) < count:
        chunk = sock.recv(min(65536, count - len(got)))
        assert chunk, f"ended after {len(got)} of {count} bytes"
        got += chunk
    return got


def to_end(sock):
    """All bytes until the end, and whether that is "fin" or "rst"."""
    got = b""
    try:
        while chunk := sock.recv(65536):
            got += chunk
    except ConnectionResetError:
        return got, "rst"
    return got, "fin"


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def nothing_comes(sock, seconds=0.15):
    sock.settimeout(seconds)
    try:
        sock.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(10)
    return False


def refused(listen):
    host, port = listen.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def eventually(condition, within=10.0):
    until = time.monotonic() + within
    while not condition():
        assert time.monotonic() < until, "the condition did not become true"
        time.sleep(0.01)


class Server:
    def __init__(self, kind, history=None):
        self.kind = kind
        if kind == "real":
            with closing(socket.create_server(("127.0.0.1", 0))) as free:
                self.port = free.getsockname()[1]
            command = [REAL, "-host", "127.0.0.1", "-port", str(self.port)]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        else:
            command = [sys.executable, "-m", "harness.proxy", *(["--history", str(history)] if history else [])]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.port = int(self.process.stdout.readline().split(b":")[1].strip(b" }\n"))
        self.url = f"http://127.0.0.1:{self.port}"
        eventually(self.answers)

    def answers(self):
        try:
            return requests.get(self.url + "/version", timeout=5).ok
        except requests.ConnectionError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.stdin.close()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
        if self.process.stdout:
            self.process.stdout.close()
