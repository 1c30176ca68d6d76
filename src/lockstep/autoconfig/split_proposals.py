"""Splits that a random one should give way to: by group or by time, with what a random one would hide."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lockstep.autoconfig import column_roles
from lockstep.autoconfig.baseline_score import Baseline
from lockstep.autoconfig.choice import Choice
from lockstep.autoconfig.column_roles import ColumnRole
from lockstep.config.params import Role, Split
from lockstep.errors import LockstepError

# So many columns are proposed of each kind; a column of fewer moments has no order to speak of.
MOST, LEAST_MOMENTS = 2, 10
# Share of rows that must not be earlier than the row before (or not later), for a table that is ordered by time.
ORDERED = 0.99
GAP = 0.05  # From so large a difference on, a random split hides something.


@dataclass(frozen=True)
class Proposal:
    """A split, in words why, and what its folds measure."""

    split: Split
    why: str
    apart: str


def propose(
    frame: pd.DataFrame, findings: Mapping[str, ColumnRole], roles: Mapping[str, Role], target: str
) -> Iterator[Proposal]:
    """Yield the splits by columns that name things with several rows each, and by dates in whose order the rows are."""
    for name in column_roles.groups(frame, findings, target)[:MOST]:
        rows = frame[name].notna().sum() / frame[name].nunique()
        split = Split.model_validate({"method": "group", "column": name})
        yield Proposal(split, f"its {frame[name].nunique()} values have {rows:.0f} rows each", f"another {name}")
    dates = [name for name, role in roles.items() if role == "date" and _ordered(frame[name])]
    for name in dates[:MOST]:
        split = Split.model_validate({"method": "time", "column": name})
        yield Proposal(split, "the rows are in its order", f"a later {name}")


def _ordered(values: pd.Series) -> bool:
    """Tell whether nearly all rows follow each other in time, forward or back."""
    moments = pd.to_datetime(values.dropna().astype(str), format="ISO8601", errors="coerce", utc=True).dropna()
    if moments.nunique() < LEAST_MOMENTS:
        return False
    steps = np.diff(moments.astype("int64").to_numpy())
    return bool(max((steps >= 0).mean(), (steps <= 0).mean()) >= ORDERED)


def choice(proposal: Proposal, random: Baseline | None, measure: Callable[[Split], Baseline]) -> Choice:
    """Say what quick models reach where the folds respect the split, beside what they reach on random rows."""
    name, method = str(proposal.split.column), proposal.split.method
    try:
        figure = measure(proposal.split).reached if random else None
    except (LockstepError, ValueError):
        figure = None  # too few groups or moments for folds: the proposal stands without a figure
    if random is None or figure is None:
        return Choice("split", f"by {method}, {name}?", proposal.why, f"{name}: {proposal.why}: {_how(proposal)}")
    figures = (
        f"quick models reach {random.metric} {random.reached:.3f} on random rows, {figure:.3f} on {proposal.apart}"
    )
    hidden = random.reached - figure > GAP
    look = f"{name}: {proposal.why}; {figures}{': a random split hides that' if hidden else ''}; {_how(proposal)}"
    return Choice("split", f"by {method}, {name}?", figures, look)


def _how(proposal: Proposal) -> str:
    return f"if predictions are for {proposal.apart}, take the split by {proposal.split.method} in params.yaml"
