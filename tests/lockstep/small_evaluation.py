"""An evaluation record of few entries, for tests of what is made of one."""

from lockstep.metrics.evaluation_record import (
    ColumnImportance,
    Evaluation,
    Importance,
    MetricValue,
    Reference,
    RowCounts,
    SliceLoss,
    WeakestSlices,
)

SLICE = {"low": 0.2, "high": 0.4, "difference": 0.2, "difference_low": 0.1, "difference_high": 0.3}


def record(metric, slices=(), importance=(), references=()):
    """Return a record with this metric, a value with its bounds, and slices and columns from their named values."""
    return Evaluation(
        **dict.fromkeys(("confusion", "curves", "residuals", "words", "learning_curve", "left_out")),
        task="binary",
        target="y",
        labels=["no", "yes"],
        metric=metric[0],
        rows=RowCounts(600, 150),
        metrics=[MetricValue(*metric, higher_is_better=True)],
        per_class=[],
        worst=[],
        weakest=WeakestSlices("share of wrong answers", metric[0], 9, [SliceLoss(**SLICE | own) for own in slices]),
        importance=Importance(metric[0], 150, 5, 2, [ColumnImportance(**own) for own in importance]),
        references=[Reference(metric=metric[0], value=0.9, low=-0.1, high=0.1, **own) for own in references],
        leaks={},
        model_bytes=9,
    )
