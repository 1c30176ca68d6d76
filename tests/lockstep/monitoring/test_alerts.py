import pytest

from lockstep.drift.results import Alert, DriftWindow, FeatureDrift, Interval, LogState, QualityWindow, Snapshot
from lockstep.monitoring import alerts
from lockstep.monitoring.alerts import Condition
from lockstep.prediction_log.refusals import Group, Refusal

QUIET, ALARM, FEW = "quiet", "alarm", "not enough data"


@pytest.mark.parametrize(
    ("verdicts", "in_a_row", "expected"),
    [
        ([], 2, None),
        ([QUIET, ALARM, ALARM], 2, None),
        ([ALARM, QUIET, ALARM], 2, "warning"),
        ([ALARM, ALARM, QUIET], 2, "page"),
        ([ALARM, FEW, ALARM], 2, "page"),
        ([FEW, ALARM], 2, "warning"),
        ([FEW, QUIET, ALARM], 2, None),
        ([FEW, FEW], 2, None),
        ([ALARM], 1, "page"),
        ([ALARM, ALARM], 3, "warning"),
    ],
)
def test_severity_of_windows(verdicts, in_a_row, expected):
    assert alerts.severity(verdicts, in_a_row) == expected


def test_a_finding_names_what_moved_most():
    moved = [
        FeatureDrift(name, "numeric", "KS", True, statistic=0.1, effect=place / 10)
        for place, name in enumerate("abcde")
    ]
    found = alerts.of_drift(
        "m", [DriftWindow("2", 0, 1, 500, ALARM, None, [*moved, FeatureDrift("still", "numeric", "KS", False)])], 2
    )
    assert (found.subject, found.severity, found.version) == ("e, d, c and 2 more", "warning", "2")
    assert found.detail == "5 of 7 distributions moved in 500 predictions, KS 0.1 of e"


def test_low_quality_is_told_with_its_interval():
    window = QualityWindow("2", 0, 1, 300, ALARM, Interval(0.8, 0.75, 0.84))
    found = alerts.of_quality("m", "accuracy", [window, window], 2)
    assert (found.severity, found.detail) == ("page", "accuracy 0.8 (95 %: 0.75 to 0.84) over 300 labels")


def test_an_alert_is_raised_and_never_lowered():
    warning, page = (Condition("drift", "m", "1", "size", level, "moved") for level in ("warning", "page"))
    opened = alerts.follow(None, warning, 1.0)
    raised = alerts.follow(opened, page, 2.0)
    kept = alerts.follow(raised, warning, 3.0)
    closed = alerts.follow(kept, None, 4.0)
    assert [own.severity for own in (opened, raised, kept, closed)] == ["warning", "page", "page", "page"]
    assert (closed.opened, closed.closed) == (1.0, 4.0)
    assert alerts.follow(None, None, 5.0) is None


def test_another_version_takes_over():
    alert = Alert(1, "drift", "m", "1", "size", "page", "moved", 0.0)
    assert alerts.taken_over(alert, ["1", "2"], 9.0) is None
    assert alerts.taken_over(alert, ["2"], 9.0).closed == 9.0


AT = 50_520.0
"""14:02 UTC of the first day."""


def refused(at, rows, key="web", model="m"):
    return Refusal(at, model, [Group("age", "null", rows), Group("n", "wrong_type", 1)], key, rows)


@pytest.mark.parametrize(
    ("lines", "answered", "severity", "share", "since", "key"),
    [
        ([refused(AT, 24)], 176, "warning", 12, "14:02", ", from key web"),
        ([refused(AT, 24, ""), refused(AT, 5, model="other")], 176, "warning", 12, "14:02", ""),
        ([refused(AT - 60, 90), refused(AT, 10, "b")], 0, "page", 100, "14:01", ", from key web"),
        ([refused(AT - second, 20) for second in (1000, 500, 0)], 60, "warning", 40, "13:45", ", from key web"),
        ([refused(AT - 2000, 90), refused(AT, 40)], 60, "warning", 40, "14:02", ", from key web"),
    ],
)
def test_refused_rows_are_told_with_their_share_begin_cause_and_key(lines, answered, severity, share, since, key):
    alert = alerts.of_refused("m", lines, answered, AT)
    assert (alert.kind, alert.severity) == ("refused", severity)
    assert alert.detail == f"{share} % refused since {since} UTC: age is null{key}"


@pytest.mark.parametrize(
    ("rows", "answered", "at"), [(19, 0, AT), (24, 800, AT), (40, 0, AT - alerts.REFUSED_S), (0, 0, AT)]
)
def test_few_rows_a_small_share_and_old_ones_are_no_alert(rows, answered, at):
    assert alerts.of_refused("m", [refused(at, rows)], answered, AT) is None


def test_an_alert_of_refused_rows_stays_while_the_database_is_away_and_ends_when_it_is_back():
    finding = alerts.of_refused("m", [refused(AT, 40)], 60, AT)
    snapshot = Snapshot(AT)
    for state, findings, closed in [
        (LogState(), [finding], None),
        (LogState(reachable=False), [], None),
        (LogState(), [finding], None),
        (LogState(), [], AT + 1),
    ]:
        snapshot.alerts = alerts.about_server(snapshot, state, findings, AT + 1)
        (alert,) = [alert for alert in snapshot.alerts if alert.kind == "refused"]
        assert (alert.model, alert.closed) == ("m", closed)
    assert {alert.subject for alert in snapshot.alerts} == {"rows", "database"}
