"""Plot of the comparison: requests per second above, p99 below, one column per model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.serving.figures import Summary
from benchmarks.serving.models import CASES
from benchmarks.serving.sides import SIDES

WIDTH = 0.85
MEASURES = (("requests per second (more is better)", "per_second"), ("p99, ms (less is better)", "p99_ms"))


def draw(summaries: Mapping[tuple[str, str, str], Summary], connections: Sequence[int], to: Path) -> None:
    """Draw grouped bars on a logarithmic scale and write them as PNG, without a date."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    models = [name for name in CASES if any(key[0] == name for key in summaries)]
    figure, axes = pyplot.subplots(
        len(MEASURES), len(models), figsize=(5.2 * len(models), 7), squeeze=False, sharey="row", layout="constrained"
    )
    for row, (label, measure) in enumerate(MEASURES):
        for column, model in enumerate(models):
            _panel(axes[row][column], model, measure, summaries, connections)
            axes[row][column].set_title(CASES[model].title if row == 0 else "", fontsize=11)
        axes[row][0].set_ylabel(label)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    to.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(to, dpi=130, metadata={"Software": None})
    pyplot.close(figure)


def _panel(axis: Any, model: str, measure: str, summaries: Mapping[tuple[str, str, str], Summary],
           connections: Sequence[int]) -> None:  # fmt: skip
    """Draw the bars of one model and one measure, the sides beside each other at each number of connections."""
    names = [name for name in SIDES if any(key[1] == name for key in summaries)]
    thick = WIDTH / len(names)
    for place, name in enumerate(names):
        shown = [summaries.get((model, name, str(count))) for count in connections]
        heights = [getattr(summary, measure) if summary else 0.0 for summary in shown]
        offset = (place - (len(names) - 1) / 2) * thick
        spots = [group + offset for group in range(len(connections))]
        axis.bar(spots, heights, thick, label=SIDES[name].title, color=SIDES[name].color)
    axis.set_yscale("log")
    axis.set_xticks(range(len(connections)), [f"{count} conn." for count in connections])
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", which="major", color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
