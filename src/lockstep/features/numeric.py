"""Skew transforms and cyclical encoding of numbers, the same in training and in serving."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Decimals of stacked predictions, whose variance is about 1: the order of a sum changes none of them.
STACKED_DECIMALS = 8


def log(numbers: Floats, fitted: Floats) -> Floats:
    """Return sign(x) * ln(1 + |x|) of rows x columns; nothing is fitted."""
    return np.sign(numbers) * np.log1p(np.abs(numbers))


def power(numbers: Floats, fitted: Floats) -> Floats:
    """Return the power transform (Yeo and Johnson 2000, equation 2.1) of rows x columns.

    `fitted` (1, columns) holds each column's lambda.
    """
    transformed = np.empty_like(numbers)
    for index, shape in enumerate(fitted[0].tolist()):
        column = numbers[:, index]
        transformed[:, index] = np.where(column >= 0, _upper(np.maximum(column, 0), shape), 0.0)
        transformed[:, index] -= np.where(column < 0, _upper(np.maximum(-column, 0), 2 - shape), 0.0)
        transformed[np.isnan(column), index] = np.nan
    return transformed


def _upper(sizes: Floats, shape: float) -> Floats:
    """Return ((1 + x)^shape - 1) / shape of sizes of 0 and more, which tends to ln(1 + x) where shape tends to 0."""
    raised = np.log1p(sizes)
    return raised if abs(shape) < 1e-12 else np.expm1(np.minimum(shape * raised, 700.0)) / shape


def quantile(numbers: Floats, fitted: Floats) -> Floats:
    """Return the share of train rows below each number of rows x columns, from 0 to 1; ties stand in their middle.

    `fitted` (points, columns) holds the quantiles of each column at equal steps, ascending.
    """
    steps = np.linspace(0, 1, len(fitted))
    transformed = np.empty_like(numbers)
    for index in range(numbers.shape[1]):
        points, column = fitted[:, index], numbers[:, index]
        below = np.interp(column, points, steps)
        above = -np.interp(-column, -points[::-1], -steps[::-1])
        transformed[:, index] = (below + above) / 2
    return transformed


CYCLES = {"month": 12, "weekday": 7, "hour": 24}  # Parts of a date that come round, and how many steps a round has.


def sine(steps: object, cycle: str) -> Floats:
    """Return the sine of the angle that steps of a cycle have gone, so that the last stands beside the first."""
    return np.sin(np.asarray(steps, dtype=np.float64) * (2 * np.pi / CYCLES[cycle]))


def cosine(steps: object, cycle: str) -> Floats:
    """Return the cosine of the same angle."""
    return np.cos(np.asarray(steps, dtype=np.float64) * (2 * np.pi / CYCLES[cycle]))


# Transforms against skew by name: of numbers, with what was fitted.
SKEW_TRANSFORMS: dict[str, Callable[[Floats, Floats], Floats]] = {"log": log, "power": power, "quantile": quantile}
