import subprocess
import sys

from scripts.spaced import mend


def test_a_program_in_a_folder_with_a_space_starts(tmp_path):
    folder = tmp_path / "a folder" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").symlink_to(sys.executable)
    program = folder / "hello"
    program.write_text(f'#!{folder}/python\nimport sys\n\nprint("hello", *sys.argv[1:])\n')
    program.chmod(0o755)
    assert mend(program)
    told = subprocess.run([program, "you there", "2"], capture_output=True, text=True, check=True)
    assert told.stdout == "hello you there 2\n"
    assert not mend(program)


def test_others_stay_as_they_are(tmp_path):
    program = tmp_path / "tool"
    for content in (
        b"#!/usr/bin/env python\nprint(1)\n",
        b"#!/opt/venv/bin/python\nprint(1)\n",
        b"\x7fELF \x00 python\n",
    ):
        program.write_bytes(content)
        assert not mend(program)
        assert program.read_bytes() == content
