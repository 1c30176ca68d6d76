"""Print a digest of the app's files in an image: the same for two builds of a commit, whatever time and machine.

Names, kinds, modes, owners, link targets and contents count, and what the container runs; times and labels do not. The
base image does not count either, since its tag gets newer files while the commit stays.

Example: python3 scripts/image_content.py flask-app:local
"""

import hashlib
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from typing import IO

from outside import Problem, entry, last_line, query

TREES = ("/opt/lockstep", "/app")
"""What the Dockerfile adds to the base."""

CONFIG = ("Cmd", "Entrypoint", "User", "WorkingDir")
BLOCK = 1 << 20


def digest(image: str) -> str:
    """Return the digest of an image of the engine, as hexadecimal digits."""
    described = query("docker", "image", "inspect", "--format", "{{json .Config}}", image)
    if described.returncode:
        raise Problem(f"there is no local image {image}: {last_line(described.stderr)}", "make image")
    config = json.loads(described.stdout)
    container = query("docker", "create", image)
    if container.returncode:
        raise Problem(f"{image} cannot be read: {last_line(container.stderr)}", "docker system df, and free space")
    try:
        lines = sorted(line for tree in TREES for line in members(container.stdout.strip(), tree))
    finally:
        query("docker", "rm", "--volumes", container.stdout.strip())
    lines.append(json.dumps({name: config.get(name) for name in CONFIG}, sort_keys=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def members(container: str, tree: str) -> Iterator[str]:
    """Yield one line for each file, folder and link of a tree in a container."""
    command = ["docker", "cp", f"{container}:{tree}", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                for member in archive:
                    yield line_of(tree, member, archive.extractfile(member) if member.isreg() else None)
        except tarfile.ReadError:
            reason = last_line(process.stderr.read().decode(errors="replace"))
            raise Problem(f"{tree} of the image cannot be read: {reason}", "make image") from None


def line_of(tree: str, member: tarfile.TarInfo, content: IO[bytes] | None) -> str:
    """Return what counts of one member, as one line of JSON."""
    sha256 = hashlib.sha256()
    while block := content.read(BLOCK) if content else b"":
        sha256.update(block)
    kind, name = member.type.decode(), f"{tree}:{member.name}"
    facts = [name, kind, member.mode & 0o7777, member.uid, member.gid, member.linkname, sha256.hexdigest()]
    return json.dumps(facts)


def main() -> None:
    """Print the digest of the image that is named."""
    if len(sys.argv) != 2:
        raise Problem("one image is needed", "python3 scripts/image_content.py flask-app:local")
    print(digest(sys.argv[1]))


if __name__ == "__main__":
    entry(main)
