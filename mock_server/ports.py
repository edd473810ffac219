"""Sockets of the server, and the names of its secrets in the environment."""

import socket
from typing import Final

CONTROL_TOKEN: Final = "SSE_MOCK_CONTROL_TOKEN"
SECRET: Final = "SSE_MOCK_SECRET"


def bound(host: str, port: int, send_buffer: int = 0) -> socket.socket:
    """A socket bound to a port that others of ours may be bound to as well; accepted ones inherit SO_SNDBUF."""
    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if send_buffer:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        one.bind((host, port))
        one.setblocking(False)
    except BaseException:
        one.close()
        raise
    return one
