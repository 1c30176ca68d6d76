"""A real PostgreSQL in a folder, started by a test; the server refuses to run as root, so root lends it a user."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.serving.real import wait_for

LENT = ("postgres", "nobody")


def program(name):
    """Return where a program of PostgreSQL is, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


class Postgres:
    """One cluster; it can be stopped and started again, and holds a database for each test that asks."""

    def __init__(self):
        self.user = None
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        if os.getuid() == 0:
            known = {one.pw_name for one in pwd.getpwall()}
            self.user = next(name for name in LENT if name in known)
            shutil.chown(self.folder, self.user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.run("initdb", "-D", "data", "-U", "lockstep", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C")
        self.process = None
        self._made = 0

    def run(self, name, *words):
        found = subprocess.run([program(name), *words], **self._options(), capture_output=True, text=True)
        assert found.returncode == 0, found.stderr
        return found.stdout

    def start(self):
        command = [program("postgres"), "-D", "data", "-p", str(self.port), "-h", "127.0.0.1", "-k", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*command, "-F"], **self._options(), stdout=log, stderr=log)
        wait_for(self.ready, 20)
        return self

    def ready(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
        return self.sql("SELECT 1").strip() == "1"

    def stop(self):
        """Stop at once, as a crash would."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(20)

    def sql(self, text, database="postgres"):
        words = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "lockstep", "-d", database, "-tA", "-c", text]
        found = subprocess.run([program("psql"), *words], **self._options(), capture_output=True, text=True)
        if found.returncode:
            raise OSError(found.stderr)
        return found.stdout

    def database(self):
        """Make a database and return its name."""
        self._made += 1
        self.sql(f"CREATE DATABASE own{self._made}")
        return f"own{self._made}"

    def url(self, database, port=None):
        return f"postgresql://lockstep@127.0.0.1:{port or self.port}/{database}"

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _options(self):
        lent = {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []} if self.user else {}
        return {"cwd": self.folder, **lent}


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server, if this machine has the programs."""
    if not all(program(name) for name in ("initdb", "postgres", "psql")):
        pytest.skip("PostgreSQL is not installed here: apt-get install postgresql")
    made = Postgres()
    yield made.start()
    made.remove()
