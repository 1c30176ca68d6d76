"""When something becomes an alert, when it becomes a page, and when it is over: pure decisions.

One window that alarms is a warning, `windows_in_a_row` of them are a page; a quiet window ends it, and so does another
version that takes over. Windows with too few rows say nothing either way.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from lockstep.drift import results
from lockstep.prediction_log.refusals import REASONS, Refusal

LAG_S, LAG_PAGE_S = 60.0, 600.0  # A prediction that waits so long for the database warns, or calls someone.
# So large a share of the rows of so many seconds warns, or calls someone, if it is so many rows at least.
REFUSED_S = 600.0
REFUSED_SHARE, REFUSED_PAGE, LEAST_REFUSED = 0.05, 0.5, 20
# Alerts about this server alone: they live in the snapshot, since the database may be away or shared.
LOCAL = ("log", "refused")
MOST_LOCAL_ALERTS = 20
NAMED = 3  # Features that an alert names; the dashboard shows all.


@dataclass(frozen=True)
class Condition:
    """What is wrong at this moment, or what a window said of one version."""

    kind: Literal["drift", "quality", "log", "refused"]
    model: str
    version: str
    subject: str
    severity: results.Severity
    detail: str


def severity(verdicts: Iterable[results.Verdict], in_a_row: int) -> results.Severity | None:
    """Return what the windows of one version call for, from their verdicts, newest first; None is quiet."""
    streak = 0
    for verdict in verdicts:
        if verdict == "quiet":
            break
        streak += verdict == "alarm"
    if not streak:
        return None
    return "page" if streak >= in_a_row else "warning"


def of_drift(model: str, windows: Sequence[results.DriftWindow], in_a_row: int) -> Condition | None:
    """Return what the drift windows of one version, newest first, amount to."""
    level = severity((window.verdict for window in windows), in_a_row)
    if level is None:
        return None
    window = next(window for window in windows if window.verdict == "alarm")
    moved = sorted(
        (feature for feature in window.features if feature.alarm), key=lambda feature: -(feature.effect or 0.0)
    )
    moved = [*([window.score] if window.score and window.score.alarm else []), *moved]
    names = ", ".join(feature.name for feature in moved[:NAMED]) or "the rows"
    more = f" and {len(moved) - NAMED} more" if len(moved) > NAMED else ""
    strongest = next(
        (f", {feature.test} {feature.statistic:.3g} of {feature.name}" for feature in moved if feature.statistic), ""
    )
    detail = f"{len(moved)} of {len(window.features) + 1} distributions moved in {window.rows} predictions{strongest}"
    return Condition("drift", model, window.version, names + more, level, detail)


def of_quality(model: str, metric: str, windows: Sequence[results.QualityWindow], in_a_row: int) -> Condition | None:
    """Return what the quality windows of one version, newest first, amount to."""
    level = severity((window.verdict for window in windows), in_a_row)
    if level is None:
        return None
    window = next(window for window in windows if window.verdict == "alarm")
    interval = window.metric
    figure = f"{interval.value:.4g} (95 %: {interval.low:.4g} to {interval.high:.4g})" if interval else "unknown"
    return Condition("quality", model, window.version, metric, level, f"{metric} {figure} over {window.labels} labels")


def of_log(state: results.LogState, before: results.LogState) -> list[Condition]:
    """Return what is wrong with the prediction log: the database, the lag, and what was lost since the last look."""
    conditions = []
    if not state.reachable:
        detail = f"{state.fault or 'the database does not answer'}; {state.spool_bytes} bytes wait on disk"
        conditions.append(Condition("log", "", "", "database", "warning" if before.reachable else "page", detail))
    if state.lag_s > LAG_S:
        level: results.Severity = "page" if state.lag_s > LAG_PAGE_S else "warning"
        detail = f"the oldest prediction has waited {state.lag_s:.0f} s for the database"
        conditions.append(Condition("log", "", "", "lag", level, detail))
    if state.lost > before.lost:
        detail = f"{state.lost - before.lost} predictions found no room on disk"
        conditions.append(Condition("log", "", "", "loss", "page", detail))
    return conditions


def of_refused(model: str, sample: Iterable[Refusal], answered: int, at: float) -> Condition | None:
    """Return what the refused rows of one model amount to, beside those that were answered in the last `REFUSED_S`."""
    lines = sorted((line for line in sample if line.model == model), key=lambda line: -line.at)
    recent = [line for line in lines if line.at > at - REFUSED_S]
    rows = sum(line.rows for line in recent)
    share = rows / max(1, rows + answered)
    if rows < LEAST_REFUSED or share < REFUSED_SHARE:
        return None
    since = at
    for line in lines:
        if line.at < since - REFUSED_S:
            break
        since = line.at
    causes: Counter[tuple[str, str]] = Counter()
    keys: Counter[str] = Counter()
    for line in recent:
        causes.update({(group.column, group.reason): group.count for group in line.groups})
        keys[line.key] += line.rows
    (column, reason), key = causes.most_common(1)[0][0], keys.most_common(1)[0][0]
    begin = datetime.fromtimestamp(since, UTC).strftime("%H:%M")
    detail = f"{100 * share:.0f} % refused since {begin} UTC: {column} {REASONS.get(reason, REASONS['other'])}"
    level: results.Severity = "page" if share >= REFUSED_PAGE else "warning"
    return Condition("refused", model, "", "rows", level, detail + (f", from key {key}" if key else ""))


def follow(before: results.Alert | None, finding: Condition | None, at: float) -> results.Alert | None:
    """Return the alert after a look: opened, raised to a page but never lowered, closed, or as it was.

    `before` is open or None, and of the same kind, model and version as the finding; `at` is in seconds since 1970.
    """
    if finding is None:
        return msgspec.structs.replace(before, closed=at) if before else None
    if before is None:
        return results.Alert(0, **_fields(finding), opened=at)
    level = "page" if before.severity == "page" else finding.severity
    return msgspec.structs.replace(before, **_fields(replace(finding, severity=level)))


def _fields(finding: Condition) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in finding.__dataclass_fields__}


def taken_over(alert: results.Alert, serving: Iterable[str], at: float) -> results.Alert | None:
    """Return the alert closed if its version is none of those in a role any more, else None."""
    if alert.closed is not None or alert.version in serving:
        return None
    return msgspec.structs.replace(alert, closed=at, detail=f"{alert.detail}; another version took over")


def about_server(
    before: results.Snapshot, state: results.LogState, refused: Iterable[Condition], at: float
) -> list[results.Alert]:
    """Return the alerts about the log and about refused rows; without the database, these stay as they are."""
    open_alerts = [alert for alert in before.alerts if alert.kind in LOCAL]
    findings = [*of_log(state, before.log if before.at else results.LogState(lost=state.lost)), *refused]
    conditions = {(finding.model, finding.subject): finding for finding in findings}
    is_over = {"log": True, "refused": state.reachable}
    ended = [alert for alert in open_alerts if alert.closed is not None or not is_over[alert.kind]]
    opened = {(alert.model, alert.subject): alert for alert in open_alerts if alert not in ended}
    now = [follow(opened.get(name), conditions.get(name), at) for name in sorted({*conditions, *opened})]
    least = min((alert.id for alert in open_alerts), default=0)
    for number, alert in enumerate([item for item in now if item and not item.id], start=1):
        alert.id = least - number
    newest = sorted([*(item for item in now if item), *ended], key=lambda item: (item.closed is not None, -item.opened))
    return newest[:MOST_LOCAL_ALERTS]
