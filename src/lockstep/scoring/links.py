"""Link functions: from the total of a linear model or of trees to probabilities or values."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def _sigmoid(total: Scores) -> Scores:
    high = 0.5 * (1 + np.tanh(0.5 * total))
    return np.hstack((1 - high, high))


def _softmax(total: Scores) -> Scores:
    raised = np.exp(total - total.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


# Link functions by name, of totals (rows, outputs).
LINKS: dict[str, Callable[[Scores], Scores]] = {
    "identity": lambda total: total,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
}

# The unit of a total by the link that follows it; `shares` are probabilities already.
UNITS = {"sigmoid": "log-odds", "softmax": "log-odds", "shares": "probability", "identity": "value"}
