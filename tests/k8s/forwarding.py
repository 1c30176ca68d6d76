"""The server's side of `kubectl port-forward`: streams of SPDY 3.1 on one connection, each to a port of this machine.

kubectl opens two streams for each connection that it accepts, first one for errors, then one for data, and waits for a
reply to each. What their headers say is not needed, so none is unpacked.
"""

import contextlib
import socket
import struct
import threading
import zlib

SYN_STREAM, SYN_REPLY, RST_STREAM, PING = 1, 2, 3, 6
FIN = 1
PIECE = 16 * 1024


class Forwarding:
    """One upgraded connection, until kubectl closes it."""

    def __init__(self, reading, connection, port):
        self.reading, self.connection, self.port = reading, connection, port
        self.writing, self.packing = threading.Lock(), zlib.compressobj()
        self.targets = {}

    def run(self):
        """Answer frame after frame."""
        try:
            while head := self.reading.read(8):
                first, rest = struct.unpack(">II", head)
                content = self.reading.read(rest & 0xFFFFFF)
                if first >> 31:
                    self.control(first & 0xFFFF, content)
                else:
                    self.data(first, rest >> 24, content)
        finally:
            for target in self.targets.values():
                target.close()

    def control(self, kind, content):
        if kind == SYN_STREAM:
            self.begin(struct.unpack(">I", content[:4])[0])
        elif kind == PING:
            self.send(0x80030000 | PING, 0, content)
        elif kind == RST_STREAM and (target := self.targets.pop(struct.unpack(">I", content[:4])[0], None)):
            target.close()

    def begin(self, stream):
        """Accept a stream, and connect every second one."""
        with self.writing:
            none = self.packing.compress(struct.pack(">I", 0)) + self.packing.flush(zlib.Z_SYNC_FLUSH)
        self.send(0x80030000 | SYN_REPLY, 0, struct.pack(">I", stream) + none)
        if stream % 4 == 3:
            self.targets[stream] = socket.create_connection(("127.0.0.1", self.port))
            threading.Thread(target=self.back, args=(stream,), daemon=True).start()

    def data(self, stream, flags, content):
        if target := self.targets.get(stream):
            with contextlib.suppress(OSError):
                target.sendall(content)
                if flags & FIN:
                    target.shutdown(socket.SHUT_WR)

    def back(self, stream):
        """Carry the answers, then say that no more come."""
        target = self.targets[stream]
        with contextlib.suppress(OSError):
            while content := target.recv(PIECE):
                self.send(stream, 0, content)
            self.send(stream, FIN, b"")
            self.send(stream - 2, FIN, b"")

    def send(self, first, flags, content):
        with self.writing:
            self.connection.sendall(struct.pack(">II", first, flags << 24 | len(content)) + content)
