"""The server's side of `kubectl exec`: a WebSocket whose messages begin with the number of a channel.

Channel 0 is standard input, 1 and 2 are the outputs, 3 says how the command ended; the fifth version of the protocol
closes a channel by 255 and its number.
"""

import base64
import hashlib
import json
import struct

PROTOCOL = "v5.channel.k8s.io"
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BINARY, CLOSE = 2, 8
CLOSED = b"\xff\x00"


def accept(key):
    """Return the answer to the key of a handshake."""
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def message(reading):
    """Return kind and content of the next message of a client, whose content is masked; nothing at the end."""
    head = reading.read(2)
    if len(head) < 2:
        return CLOSE, b""
    size = head[1] & 0x7F
    if size > 125:
        size = struct.unpack(">H", reading.read(2))[0] if size == 126 else struct.unpack(">Q", reading.read(8))[0]
    mask = reading.read(4)
    return head[0] & 0xF, bytes(one ^ mask[i % 4] for i, one in enumerate(reading.read(size)))


def frame(kind, content):
    """Return a message of the server."""
    size = len(content)
    head = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size)
    if size > 0xFFFF:
        head = b"\x7f" + struct.pack(">Q", size)
    return bytes([0x80 | kind]) + head + content


def standard_input(reading):
    """Return what the client sends until it closes its channel."""
    content = b""
    while True:
        kind, text = message(reading)
        if kind == CLOSE or text == CLOSED:
            return content
        if kind == BINARY and text[:1] == b"\x00":
            content += text[1:]


def ended(code):
    """Return how a command ended, as the API says it."""
    if not code:
        return {"metadata": {}, "status": "Success"}
    causes = [{"reason": "ExitCode", "message": str(code)}]
    said = {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}
    return said | {"message": f"command terminated with exit code {code}"}


def run(reading, writing, stdin, execute):
    """Run a command whose result `execute` returns: code, output, errors."""
    code, output, errors = execute(standard_input(reading) if stdin else b"")
    for channel, content in ((1, output), (2, errors), (3, json.dumps(ended(code)).encode())):
        if content:
            writing.write(frame(BINARY, bytes([channel]) + content))
    writing.write(frame(CLOSE, struct.pack(">H", 1000)))
    writing.flush()
