"""Search space: the points that a search tries, of a grid or drawn from distributions."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.model_selection import ParameterGrid

from lockstep.config.params import Between, Candidate, ModelBuilding, Task
from lockstep.errors import ConfigError
from lockstep.modeling import catalog

DIGITS = 4  # Significant digits of a drawn number: the last bits of a logarithm differ from CPU to CPU.
MOST_DRAWS = 30  # Draws in a row that give nothing new, after which a space counts as used up.


@dataclass(frozen=True)
class Point:
    """One point of the search space: an estimator with values for its searched parameters."""

    candidate: Candidate
    values: Mapping[str, Any]
    reference: bool = False

    @property
    def params(self) -> dict[str, Any]:
        """Return every parameter that is not the estimator's default."""
        return {**self.candidate.params, **self.values}


def points(params: ModelBuilding, task: Task, sparse: bool) -> list[Point]:
    """Return the points to try, in the order of their trials.

    Raises ConfigError: a key of the search has no meaning with its method, or a space is given to a grid.
    """
    _check(params)
    tried = list(_grid(params.candidates) if params.search.method == "grid" else _random(params, task))
    if not params.references:
        return tried
    names = references(task, sparse)
    marked = [replace(point, reference=_plain(point) in names) for point in tried]
    missing = [name for name in names if name not in {_plain(point) for point in marked}]
    return [*(Point(Candidate(estimator=name), {}, reference=True) for name in missing), *marked]


def references(task: Task, sparse: bool) -> list[str]:
    """Return the baseline estimators, with scikit-learn's defaults: a linear model, and boosting if dense."""
    linear = "ridge" if task == "regression" else "logistic_regression"
    return [linear] if sparse else [linear, "hist_gradient_boosting"]


def _plain(point: Point) -> str:
    """Return the estimator of a point that leaves all at its default."""
    return "" if point.params else point.candidate.estimator


def _check(params: ModelBuilding) -> None:
    search = params.search
    if search.method == "halving" and search.patience:
        raise ConfigError("model_building.search.patience has no meaning with method: halving", "leave it out")
    drawn = next((candidate for candidate in params.candidates if candidate.space), None)
    if search.method == "grid" and drawn:
        raise ConfigError(
            f"model_building.candidates: {drawn.estimator} has a space, which method: grid does not draw from",
            "set model_building.search.method to random or halving, or list the values under grid",
        )


def _grid(candidates: Sequence[Candidate]) -> Iterator[Point]:
    """Yield each candidate with each point of its grid."""
    for candidate in candidates:
        for values in ParameterGrid({name: list(choices) for name, choices in candidate.grid.items()}):
            yield Point(candidate, values)


def _random(params: ModelBuilding, task: Task) -> Iterator[Point]:
    """Yield the default of each candidate, then points drawn from each in turn; more trials only add to these."""
    count = len(params.candidates)
    streams = [_draws(candidate, task, (params.seed, index)) for index, candidate in enumerate(params.candidates)]
    drawn = 0
    while streams and drawn < max(params.search.trials, count):
        index = drawn % len(streams)
        try:
            point = next(streams[index])
        except StopIteration:
            streams = streams[:index] + streams[index + 1 :]
            continue
        drawn += 1
        yield point


def _draws(candidate: Candidate, task: Task, seed: tuple[int, int]) -> Iterator[Point]:
    space = space_of(candidate, task)
    random = np.random.default_rng(seed)
    tried: list[Mapping[str, Any]] = [{}]
    yield Point(candidate, {})
    fails = 0
    while space and fails < MOST_DRAWS:
        values = {name: _draw(choices, random) for name, choices in sorted(space.items())}
        fails += 1
        if values not in tried:
            fails = 0
            tried.append(values)
            yield Point(candidate, values)


def space_of(candidate: Candidate, task: Task) -> catalog.Space:
    """Return what a candidate's points are drawn from: its own space, its grid, or the catalog's ready space."""
    if isinstance(candidate.space, Mapping) and candidate.space:
        return candidate.space
    if candidate.grid:
        return candidate.grid
    ready = catalog.find(candidate.estimator, task).space
    return {name: values for name, values in ready.items() if name not in candidate.params}


def _draw(values: Sequence[Any] | Between, random: np.random.Generator) -> Any:
    if not isinstance(values, Between):
        return values[int(random.integers(len(values)))]
    low, high = values.low, values.high + (values.kind == "int")
    if values.scale == "log":
        drawn = math.exp(random.uniform(math.log(low), math.log(high)))
    else:
        drawn = random.uniform(low, high)
    if values.kind == "int":
        return int(min(max(math.floor(drawn), math.ceil(values.low)), values.high))
    return min(max(float(f"{drawn:.{DIGITS}g}"), values.low), values.high)
