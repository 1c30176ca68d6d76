"""Run one stage: read its section, check the numeric pins, and turn any fault into one line and a non-zero exit."""

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from lockstep import numeric_pins
from lockstep.config import params_file
from lockstep.config.settings import Settings
from lockstep.errors import LockstepError
from lockstep.runtime import logger


def run_stage(name: str, main: Callable[[Any], None]) -> None:
    """Call `main` with the stage's section of params.yaml and exit 0 only if it succeeded."""
    sys.exit(guarded(lambda: _run(name, main), name))


def guarded(work: Callable[[], int | None], name: str) -> int:
    """Return the exit code of `work`; print what is wrong and what to do, without a traceback.

    This is the one error boundary of a process. `LOCKSTEP_DEBUG` shows the traceback.
    """
    try:
        return work() or 0
    except LockstepError as error:
        _print_error(name, error.problem, error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        _print_error(name, "interrupted", "nothing half-written was left; run it again")
        return 130
    except OSError as error:
        what = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
        _print_error(name, what, "check that the file exists, that you may use it, and that the disk has room")
    except Exception as error:  # noqa: BLE001 - the boundary: nothing passes it silently
        _print_error(name, f"{type(error).__name__}: {error}", "LOCKSTEP_DEBUG=1 shows where; please report it")
    return 1


def _run(name: str, main: Callable[[Any], None]) -> None:
    settings = Settings.read(os.environ)
    logger.start(settings.log_level)
    params = params_file.load()
    log = logging.getLogger(name)
    if deviations := numeric_pins.deviations():
        log.warning("dvc.lock may get other digests here: %s", ", ".join(deviations))

    started = time.perf_counter()
    main(getattr(params, name))
    log.info("done in %.1f s", time.perf_counter() - started)


def _print_error(name: str, problem: str, hint: str) -> None:
    if os.environ.get("LOCKSTEP_DEBUG"):
        import traceback

        traceback.print_exc()
    lines = [f"{name}: {' '.join(problem.split())}"] + ([f"  hint: {' '.join(hint.split())}"] if hint else [])
    print("\n".join(lines), file=sys.stderr)
