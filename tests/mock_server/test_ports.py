import socket

from mock_server.ports import bound


def test_a_port_may_be_bound_twice_by_us_and_connections_are_refused_until_one_listens():
    with bound("127.0.0.1", 0) as reserved:
        port = reserved.getsockname()[1]
        with socket.socket() as early:
            assert early.connect_ex(("127.0.0.1", port)) != 0
        with bound("127.0.0.1", port, send_buffer=8192) as listening:
            listening.listen()
            with socket.create_connection(("127.0.0.1", port)) as late:
                assert late.getpeername()[1] == port
            assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= 8192
