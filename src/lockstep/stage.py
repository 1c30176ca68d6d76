"""Run one stage: read its section, check the numeric pins, and turn any fault into one line and a non-zero exit."""

import io
import logging
import os
import select
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lockstep import numeric_pins, paths
from lockstep.config import params_file
from lockstep.config.settings import Settings
from lockstep.errors import ConfigError, LockstepError
from lockstep.runtime import logger
from lockstep.runtime.release import VERSION

STDOUT = 1
NOT_READ = 141  # The exit code of a program whose output nobody reads any more: 128 and the number of SIGPIPE.


def run_stage(name: str, main: Callable[[Any], None]) -> None:
    """Call `main` with the stage's section of params.yaml and exit 0 only if it succeeded."""
    sys.exit(guarded(lambda: _run(name, main), name))


def guarded(work: Callable[[], int | None], name: str) -> int:
    """Return the exit code of `work`; print what is wrong and what to do, without a traceback.

    This is the one error boundary of a process. `LOCKSTEP_DEBUG` shows the traceback. A reader of the output that has
    had enough, such as `head`, ends the process without a word.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: an ASCII terminal is no reason to fail
    try:
        return _exit_code(work, name)
    finally:  # after the SystemExit of --help too
        try:
            print(end="", flush=True)
        except OSError:  # nobody reads it, which Python would complain about at the exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)


def _exit_code(work: Callable[[], int | None], name: str) -> int:
    try:
        code = work() or 0
        print(end="", flush=True)
        return code
    except LockstepError as error:
        _print_error(name, error.problem, error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        _print_error(name, "interrupted", "nothing half-written was left; run it again")
        return 130
    except OSError as error:
        if isinstance(error, BrokenPipeError) and not _is_read(STDOUT):
            return NOT_READ
        what = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
        _print_error(name, what, "check that the file exists, that you may use it, and that the disk has room")
    except Exception as error:  # noqa: BLE001 - the boundary: nothing passes it silently
        _print_error(name, f"{type(error).__name__}: {error}", "LOCKSTEP_DEBUG=1 shows where; please report it")
    return 1


def _is_read(pipe: int) -> bool:
    """Return whether the other end of a pipe is open."""
    poll = select.poll()
    poll.register(pipe, 0)
    return not any(event & select.POLLERR for _, event in poll.poll(0))


def check_release(folder: Path) -> None:
    """Compare the library that runs with the one that dvc.lock will name, in a project that depends on a wheel.

    Raises ConfigError: they differ, as after a pull without a new set-up.
    """
    pin = paths.root_of(folder) / paths.PIN
    if pin.is_file() and f"=={VERSION} " not in (text := pin.read_text(encoding="utf-8")):
        pinned = text.partition(" ")[0].strip()
        raise ConfigError(f"the installed library is {VERSION}, and {pin.name} names {pinned}", "make setup")


def _run(name: str, main: Callable[[Any], None]) -> None:
    settings = Settings.read(os.environ)
    logger.start(settings.log_level)
    check_release(Path.cwd())
    params = params_file.load()
    log = logging.getLogger(name)
    if deviations := numeric_pins.deviations():
        log.warning("dvc.lock may get other digests here: %s", ", ".join(deviations))

    started = time.perf_counter()
    main(getattr(params, name))
    log.info("done in %.1f s", time.perf_counter() - started)


def _print_error(name: str, problem: str, hint: str) -> None:
    if os.environ.get("LOCKSTEP_DEBUG"):
        traceback.print_exc()
    lines = [f"{name}: {' '.join(problem.split())}"] + ([f"  hint: {' '.join(hint.split())}"] if hint else [])
    print("\n".join(lines), file=sys.stderr)
