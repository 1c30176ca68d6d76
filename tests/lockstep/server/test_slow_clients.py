import os
import socket
import sys
import time

import pytest

from lockstep.server import slow_clients

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux about connections")


@pytest.fixture
def links():
    """A server's socket and a client's, connected."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        client.settimeout(1)
        link, _ = server.accept()
        with client, link:
            yield link, client


def test_a_request_that_does_not_arrive_is_cut(links):
    _, client = links
    client.sendall(b"POST / HTTP/1.1\r\n")
    time.sleep(0.15)
    assert slow_clients.cut(10) == 0
    assert slow_clients.cut(0.1) == 1
    assert client.recv(1) == b""


def test_one_that_trickles_is_cut_also_after_an_answer(links):
    link, client = links
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    time.sleep(0.2)
    client.sendall(b"P")
    assert slow_clients.cut(0.15) == 1


def test_one_that_was_answered_and_one_that_asks_nothing_may_wait(links):
    link, client = links
    time.sleep(0.15)
    assert slow_clients.cut(0.1) == 0
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    time.sleep(0.15)
    assert slow_clients.cut(0.1) == 0


def test_what_this_process_asks_of_others_is_left_alone(links):
    link, client = links
    link.sendall(b"an answer")  # as seen from the client, which is in this process too
    time.sleep(0.2)
    assert slow_clients.waiting_s(client) > 0.1
    assert slow_clients.cut(0.1) == 0


def test_no_descriptor_is_leaked(links):
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(3):
        slow_clients.cut(10)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
