import io
import sys

import pytest

from lockstep.data.sources.progress import Progress


class Screen(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("whole", [4_000_000, None], ids=["size-told", "size-not-told"])
def test_a_person_sees_how_much_is_here(monkeypatch, whole):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stderr", Screen())
    with Progress("https://example.org/rows.csv", 0, whole) as shown:
        shown.at(2_000_000)
    told = sys.stderr.getvalue()
    assert "example.org/rows.csv" in told
    assert "2.0" in told


def test_a_log_sees_nothing(capsys):
    with Progress("https://example.org/rows.csv", 0, 100) as shown:
        shown.at(50)
    assert capsys.readouterr() == ("", "")
