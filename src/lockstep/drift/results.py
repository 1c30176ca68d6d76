"""What the recorder last saw, in one file of the state folder: read by the dashboard, by /metrics and by the commands.

The recorder replaces the file every `LOCKSTEP_MONITOR_S` seconds; nothing that reads it asks the database.
Times are seconds since 1970, shares are 0 to 1, and every list of windows is newest first.
"""

import logging
import os
from pathlib import Path
from typing import Literal

import msgspec

from lockstep.decision import Decision

log = logging.getLogger("monitor")

FILE = "monitoring.json"  # Its name in the state folder.
Verdict = Literal["not enough data", "quiet", "alarm"]
Severity = Literal["warning", "page"]
Difference = Literal["undecided", "no difference found", "challenger better", "production better"]


class Interval(msgspec.Struct):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class VersionInfo(msgspec.Struct):
    """A version in a role, and who brought it there; `forced` if it was ever brought there against the gate."""

    version: str
    since: float | None = None
    actor: str = ""
    reason: str = ""
    forced: bool = False
    git_commit: str = ""
    sha256: str = ""
    forced_reason: str = ""
    gate: Decision | None = None


class Traffic(msgspec.Struct):
    """Predictions by time: one count for each bucket's start and version."""

    bucket_s: int
    starts: list[float]
    by_version: dict[str, list[int]]


class Latency(msgspec.Struct):
    """Percentiles of the time to answer over the last hour, in milliseconds."""

    p50: float
    p95: float
    p99: float
    count: int


class Distribution(msgspec.Struct):
    """Shares over categories (`labels`), or over bins between `edges`, which are one more than the shares."""

    shares: list[float]
    labels: list[str] | None = None
    edges: list[float] | None = None


class FeatureDrift(msgspec.Struct):
    """One feature, or the score, in one window beside the baseline; `q` is p after Benjamini-Hochberg."""

    name: str
    kind: str
    test: str
    alarm: bool
    statistic: float | None = None
    p: float | None = None
    q: float | None = None
    effect: float | None = None
    missing: float = 0.0
    baseline_missing: float = 0.0
    out_of_range: float = 0.0
    new_categories: list[str] = []
    notes: list[str] = []
    baseline: Distribution | None = None
    window: Distribution | None = None


class DriftWindow(msgspec.Struct):
    """The features of consecutive predictions of one version beside its baseline."""

    version: str
    start: float
    end: float
    rows: int
    verdict: Verdict
    score: FeatureDrift | None = None
    features: list[FeatureDrift] = []


class QualityWindow(msgspec.Struct):
    """The metric over the labelled predictions of one version; `delay_s` is the median time until a label came."""

    version: str
    start: float
    end: float
    labels: int
    verdict: Verdict
    metric: Interval | None = None
    delay_s: float | None = None


class Quality(msgspec.Struct):
    """Live quality by version beside what the evaluation had promised."""

    metric: str
    higher_is_better: bool
    evaluation: Interval | None = None
    windows: list[QualityWindow] = []


class Challenge(msgspec.Struct):
    """Challenger beside Production on live labels; `difference` is challenger minus production, above 0 is better."""

    production: str
    challenger: str
    share: int
    metric: str
    labels_production: int = 0
    labels_challenger: int = 0
    production_value: Interval | None = None
    challenger_value: Interval | None = None
    difference: Interval | None = None
    p: float | None = None
    verdict: Difference = "undecided"
    labels_needed: int | None = None
    agreement: float | None = None


class Alert(msgspec.Struct):
    """Something that a person, or the loop, should act on; `closed` says when it ended."""

    id: int
    kind: Literal["drift", "quality", "log", "refused"]
    model: str
    version: str
    subject: str
    severity: Severity
    detail: str
    opened: float
    closed: float | None = None


class Job(msgspec.Struct):
    """A run of the loop: why it ran, and what came of it."""

    id: str
    state: Literal["waiting", "running", "promoted", "kept", "dispatched", "failed"]
    trigger: str
    reason: str
    asked: float
    started: float | None = None
    ended: float | None = None
    outcome: str = ""
    version: str = ""
    labelled_rows: int = 0
    model: str = ""


class Move(msgspec.Struct):
    """One line of the model's history in the registry: a promotion, a rollback or a refusal."""

    at: str
    action: str
    version: str
    previous: str = ""
    actor: str = ""
    reason: str = ""
    forced: bool = False


class ModelState(msgspec.Struct):
    """All that is known of one model."""

    name: str
    task: str
    labels: list[str] = []
    production: VersionInfo | None = None
    challenger: VersionInfo | None = None
    history: list[Move] = []
    traffic: list[Traffic] = []
    latency: dict[str, Latency] = {}
    mix: dict[str, Distribution] = {}
    mix_baseline: Distribution | None = None
    quality: Quality | None = None
    drift: list[DriftWindow] = []
    challenge: Challenge | None = None


class LogState(msgspec.Struct):
    """How the prediction log is: what waits on disk, what was lost, and whether the database answers."""

    reachable: bool = True
    fault: str = ""
    stored: int = 0
    labels: int = 0
    spool_files: int = 0
    spool_bytes: int = 0
    lag_s: float = 0.0
    lost: int = 0


class Snapshot(msgspec.Struct):
    """The state of everything at one moment; `no_retraining` says why nothing is trained now, by model."""

    at: float
    log: LogState = msgspec.field(default_factory=LogState)
    models: dict[str, ModelState] = {}
    alerts: list[Alert] = []
    jobs: list[Job] = []
    no_retraining: dict[str, str] = {}


def read(file: Path) -> Snapshot | None:
    """Return the snapshot in a file; None where there is none, or one of another version."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Snapshot)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        log.warning("%s is not used: %s", file, error)
        return None


def write(snapshot: Snapshot, file: Path) -> None:
    """Replace the snapshot in one step; of two servers that share the folder, each first writes under its own name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        partial.write_bytes(msgspec.json.encode(snapshot))
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
