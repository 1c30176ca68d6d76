"""What the processes of a server have in common: a child ends when its parent is gone."""

import os
import signal
import threading
import time

LOOK_S = 0.5
GRACE_S = 1.0


def end_with_parent() -> None:
    """Watch the parent from now on; when it is gone, finish what is under way within a second and end."""
    threading.Thread(target=_watch, args=(os.getppid(),), name="parent-watch", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)
