import socket
import threading

import pytest

from benchmarks.serving import load
from benchmarks.serving.load import Driver, Plan

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
LAST = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: close\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "ends"),
    [
        (b"", None),
        (OK[:20], None),
        (OK[:-1], None),
        (OK, (38, 40)),
        (OK.lower(), (38, 40)),
        (OK + b"HTTP", (38, 40)),
        (b"HTTP/1.1 200 OK\r\nX: 1\r\n\r\nContent-Length: 1\r\n", None),
        (CHUNKED[:-3], None),
        (CHUNKED, (47, len(CHUNKED))),
    ],
)
def test_the_end_of_an_answer_is_found(data, ends):
    assert load.answer_end(data) == ends


@pytest.mark.parametrize(("answer", "content"), [(OK, b"hi"), (CHUNKED, b"abcd")])
def test_content_comes_without_the_frame_of_chunks(answer, content):
    head, end = load.answer_end(answer)
    assert load.dechunked(answer[:head], answer[head:end]) == content


class Server(threading.Thread):
    """Answers each request of a fixed size with what `answer` makes of it; None closes the connection."""

    def __init__(self, size, answer):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.size, self.answer, self.seen = size, answer, []

    def run(self):
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(link,), daemon=True).start()

    def serve(self, link):
        with link:
            while request := link.recv(self.size, socket.MSG_WAITALL):
                self.seen.append(request)
                answer = self.answer(request)
                if answer:
                    link.sendall(answer)
                if not answer or b"close" in answer:
                    return


@pytest.fixture
def served():
    opened = []

    def start(answer, size=1):
        opened.append(Server(size, answer))
        opened[-1].start()
        return opened[-1]

    yield start
    for server in opened:
        server.listener.close()


def test_a_counted_plan_asks_each_request_in_turn(served):
    server = served(lambda request: OK.replace(b"hi", request * 2))
    seen = Driver(server.address, [b"a", b"b", b"c"], Plan(2, count=7)).run()
    assert len(seen.answers) == len(seen.counted) == 7
    assert all(answer.content == b"abc"[answer.request : answer.request + 1] * 2 for answer in seen.answers)
    assert seen.lost == 0
    assert sorted(server.seen) == [b"a", b"a", b"a", b"b", b"b", b"c", b"c"]


def test_a_timed_plan_counts_after_the_warm_up_and_keeps_every_answer(served):
    server, marks = served(lambda request: OK), []
    seen = Driver(server.address, [b"a"], Plan(3, seconds=0.1, warm_s=0.1)).run(lambda: marks.append(len(server.seen)))
    assert 0 < len(seen.counted) < len(seen.answers) == len(server.seen)
    assert 0 < marks[0] < marks[1] <= len(server.seen)
    assert seen.elapsed_s == pytest.approx(0.1, abs=0.5)
    assert all(answer.status == 200 and answer.latency_s > 0 for answer in seen.answers)


def test_a_request_that_is_never_answered_is_lost(served):
    server = served(lambda request: None if request == b"b" else OK)
    seen = Driver(server.address, [b"a", b"b"], Plan(1, count=4)).run()
    assert (len(seen.answers), seen.lost) == (2, 2)


def test_a_connection_that_is_closed_as_announced_loses_nothing(served):
    server = served(lambda request: LAST)
    assert len(Driver(server.address, [b"a"], Plan(2, count=6)).run().answers) == 6
    seen = Driver(server.address, [b"a"], Plan(2, seconds=5, reconnect=False)).run()
    assert (len(seen.answers), seen.lost) == (2, 0)


def test_a_long_request_is_sent_in_parts(served):
    size = 1 << 23
    server = served(lambda request: OK, size)
    seen = Driver(server.address, [b"x" * size], Plan(2, count=4)).run()
    assert len(seen.answers) == 4
    assert {len(request) for request in server.seen} == {size}


def test_one_request_by_itself(served):
    request = load.post("/predict", b"{}")
    assert request.endswith(b"Content-Length: 2\r\n\r\n{}")
    assert load.ask(served(lambda request: CHUNKED, len(request)).address, request).content == b"abcd"
    with pytest.raises(ConnectionResetError, match="whole"):
        load.ask(served(lambda request: None, len(request)).address, request)
