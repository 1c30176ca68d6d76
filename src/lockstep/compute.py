"""Where many small pieces of work run: processes of this machine."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from joblib import Parallel, delayed

from lockstep.sections import Compute


class Pool(Protocol):
    """Runs pieces of work side by side."""

    def run(
        self, function: Callable[..., Any], shared: Sequence[Any], tasks: Sequence[Sequence[Any]]
    ) -> Iterator[tuple[int, Any]]:
        """Yield the place of each task and `function(*shared, *task)`, in the order in which they are done."""


class LocalPool:
    """Processes of this machine; one runs the work in this process."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def run(
        self, function: Callable[..., Any], shared: Sequence[Any], tasks: Sequence[Sequence[Any]]
    ) -> Iterator[tuple[int, Any]]:
        """Yield the place of each task and `function(*shared, *task)`, in the order in which they are done."""
        work = (delayed(_numbered)(place, function, *shared, *task) for place, task in enumerate(tasks))
        yield from Parallel(n_jobs=self.jobs, return_as="generator_unordered")(work)


@contextmanager
def pool(compute: Compute, jobs: int) -> Iterator[Pool]:
    """Open what `compute` names."""
    yield LocalPool(jobs)


def _numbered(place: int, function: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    return place, function(*arguments)
