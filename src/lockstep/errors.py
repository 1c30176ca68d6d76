"""Exceptions with a problem and a hint: what is wrong, and what to do next."""

import difflib
from collections.abc import Iterable
from typing import Any


class LockstepError(Exception):
    """A fault with a one-line cause and a hint; every rim of the program prints both."""

    exit_code = 1

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes whole: the hint, and what a subclass adds, too."""
        return _unpacked, (type(self), self.args), self.__dict__


def _unpacked(kind: type[LockstepError], arguments: tuple[Any, ...]) -> LockstepError:
    return kind.__new__(kind, *arguments)


class ConfigError(LockstepError):
    """params.yaml or a setting says something that is not accepted."""


class DataError(LockstepError):
    """The data cannot be used as it stands."""


class MixedTypesError(DataError):
    """Columns hold texts beside numbers, and nothing says how these texts are read."""

    columns: tuple[str, ...] = ()


class QuestionError(DataError):
    """Something that only a person can decide; the hint names the option that says it."""

    exit_code = 2


class ArtifactError(LockstepError):
    """A model file is missing, damaged, or holds what is not allowed."""


class TrackingError(LockstepError):
    """The tracking server is out of reach or refused a call."""


class RegistryError(LockstepError):
    """The model registry holds no such thing, or refused a move."""


class StoreError(LockstepError):
    """The database of the prediction log is out of reach, or holds no such thing."""


class AlreadyRunning(LockstepError):
    """Another process does the same thing at the moment; it is named."""


class DispatchError(LockstepError):
    """GitHub was not reached, or refused the request to retrain."""


class ExperimentError(LockstepError):
    """DVC cannot list or apply experiments."""


class ComputeError(LockstepError):
    """A task pool failed; `task_index` is that of the failed task, if it is one."""

    task_index: int | None = None


class NotExplained(LockstepError):
    """No method explains the predictions of this model."""


class MirrorError(LockstepError):
    """A copy of a run did not reach Weights & Biases; the run itself is logged."""


class MissingExtra(LockstepError):
    """An optional package is not installed; the hint names the extra that brings it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{package} is needed {purpose}, and is not installed here",
            f"pip install 'lockstep-mlops[{extra}]', or run `make setup-extras`",
        )
        self.extra = extra


def nearest(word: str, accepted: Iterable[str]) -> str:
    """Name the accepted word closest to the given one, as the end of a sentence."""
    match = difflib.get_close_matches(word[:100], list(accepted), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""
