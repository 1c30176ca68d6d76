"""Close connections whose requests do not arrive: each body that trickles in holds a thread, and threads are few.

The server below gives no time limit for bodies, so the kernel is asked which connections have brought something since
they were last answered, and how long ago that answer was. It costs requests nothing.
"""

import os
import socket
import stat
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# Most Python threads of a worker. They are made as needed, and one that waits for a body does so without the GIL.
THREADS = 512
# How long a request may take to arrive and be answered: while threads abound, and when half of them are taken.
PATIENCE_S = 300.0
SHORT_PATIENCE_S = 10.0
LOOK_S = 2.0
INFO_BYTES = 160
# Fields of Linux's tcp_info: milliseconds since data went out and came in, bytes that came, segments that went.
LAST_SENT, LAST_RECEIVED, BYTES_RECEIVED, SEGMENTS_SENT = (44, "I"), (52, "I"), (128, "Q"), (156, "I")
SAME_MOMENT_MS = 50


def watch() -> None:
    """Look after this process's connections from now on, where the kernel can be asked."""
    if sys.platform == "linux":
        threading.Thread(target=_watch, name="slow-clients", daemon=True).start()


def _watch() -> None:
    while True:
        time.sleep(LOOK_S)
        with suppress(OSError):  # no descriptor is left to look with: the next time
            short = len(list(Path("/proc/self/task").iterdir())) > THREADS // 2
            cut(SHORT_PATIENCE_S if short else PATIENCE_S)


def cut(patience_s: float) -> int:
    """Close the connections to this server that have waited longer than this for an answer; return how many."""
    ports = {port_of(link) for link in _links() if link.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)}
    count = 0
    for link in _links():
        with suppress(OSError):
            if port_of(link) in ports and waiting_s(link) > patience_s:
                link.shutdown(socket.SHUT_RDWR)
                count += 1
    return count


def port_of(link: socket.socket) -> int:
    """Return the port at this end."""
    return link.getsockname()[1]


def waiting_s(link: socket.socket) -> float:
    """Return for how long a connection has not been answered, 0 if it has asked nothing since.

    Raises OSError: it is no connection any more.
    """
    info = link.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, INFO_BYTES)
    sent_ms, received_ms, received, answers = (
        struct.unpack_from(f"={kind}", info, offset)[0]
        for offset, kind in (LAST_SENT, LAST_RECEIVED, BYTES_RECEIVED, SEGMENTS_SENT)
    )
    pending = received and (not answers or received_ms + SAME_MOMENT_MS < sent_ms)
    return sent_ms / 1000 if pending else 0.0


def _links() -> Iterator[socket.socket]:
    """Yield a copy of each TCP socket of this process, for a moment each."""
    for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as link:
                if link.type == socket.SOCK_STREAM and link.family in (socket.AF_INET, socket.AF_INET6):
                    yield link
