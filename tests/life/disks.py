"""A disk that is full."""

import contextlib


@contextlib.contextmanager
def full(disk):
    """Fill a disk to its last block, and free it at the end of the block."""
    filling = disk / "filling"
    with contextlib.suppress(OSError), filling.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    yield
    filling.unlink()
