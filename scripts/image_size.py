"""Print the size of the packages in the image, as the table of docs/image.md.

Example: python scripts/image_size.py flask-app:local python:3.11-slim
"""

import json
import subprocess
import sys

COUNT = """
import json, os, pathlib
site = next(pathlib.Path("/opt/lockstep/lib").glob("python3*/site-packages"))
sizes = {}
for path in pathlib.Path("/opt/lockstep").rglob("*"):
    if path.is_file() and not path.is_symlink():
        inside = path.is_relative_to(site)
        name = path.relative_to(site).parts[0].split(".")[0].split("-")[0] if inside else "environment"
        sizes[name] = sizes.get(name, 0) + path.stat().st_size
print(json.dumps(sizes))
"""
OWN = {"lockstep_app": "lockstep", "botocore": "boto3", "psycopg_binary": "psycopg", "s3transfer": "boto3"}
"""Folders that are counted with another."""

SHOWN_MB = 4.0


def rows(sizes: dict[str, int]) -> list[tuple[str, float]]:
    """Return what takes more than `SHOWN_MB`, in MB, the largest first, and then the rest in one."""
    summed: dict[str, float] = {}
    for name, size in sizes.items():
        summed[OWN.get(name, name)] = summed.get(OWN.get(name, name), 0.0) + size / 1e6
    large = sorted(((name, size) for name, size in summed.items() if size >= SHOWN_MB), key=lambda one: -one[1])
    rest = sum(size for size in summed.values() if size < SHOWN_MB)
    count = sum(size < SHOWN_MB for size in summed.values())
    return [*large, (f"{count} others", rest)]


def size_of(image: str) -> int:
    """Return what an image takes unpacked, in bytes."""
    return int(_docker("image", "inspect", "--format", "{{.Size}}", image))


def _docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout


def main(words: list[str]) -> None:
    """Print the table of an image, and what it takes beyond its base."""
    image, base = words
    print("| part | MB |\n| --- | ---: |")
    sizes = json.loads(_docker("run", "--rm", "--entrypoint", "python", image, "-c", COUNT))
    for name, size_mb in rows(sizes):
        print(f"| {name} | {size_mb:.0f} |")
    print(f"| ours, together | {(size_of(image) - size_of(base)) / 1e6:.0f} |")


if __name__ == "__main__":
    main(sys.argv[1:])
