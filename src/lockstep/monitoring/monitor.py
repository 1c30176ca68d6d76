"""What the recorder does every few seconds: measure the windows that are full, open and close alerts, and tell.

The snapshot is all that others see. Each look costs a few queries of rollups and the rows of new windows, however many
predictions the log holds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import compress
from pathlib import Path

from lockstep.config.settings import Settings, model_names
from lockstep.drift import results
from lockstep.drift.profile import Profile
from lockstep.errors import StoreError
from lockstep.monitoring import alerts, registry_view, windows
from lockstep.monitoring.label_windows import Labels
from lockstep.monitoring.registry_view import ModelVersions, RegistryView
from lockstep.prediction_log import monitoring_queries, refusals
from lockstep.prediction_log.database import Store
from lockstep.prediction_log.tables import latency_us_of
from lockstep.registry import remote
from lockstep.registry.history import Event

HOUR_S = 3600
SPANS = ((60, 60), (48, 3600))  # Traffic is told for so many buckets of so many seconds.
MOST_WINDOWS, MOST_MOVES, MOST_ALERTS = 50, 50, 50
# Seconds that a look spends on labels and on windows; what is left over is for the next look.
LABELS_S, WINDOWS_S = 2.0, 2.0
RECOUNT_S = 3600.0  # How often all rows are counted anew, since pruning takes some away.


@dataclass(frozen=True)
class MonitorOptions:
    """What the settings say: which models, how rows are logged, and the challenger's share of traffic in percent.

    `refusals` is the file with the sample of refused values.
    """

    models: tuple[str, ...]
    log_rows: str = "plain"
    challenger_share: int = 0
    refusals: Path | None = None


@dataclass
class Count:
    """How many rows a table has: counted once, then only what came after."""

    rows: int = 0
    newest: int = 0
    since: float = -RECOUNT_S

    def look(self, store: Store, table: monitoring_queries.Counted, at: float) -> int:
        """Return the rows of a table by now, `at` in seconds of any clock."""
        if at - self.since >= RECOUNT_S or at < self.since:
            self.rows, self.newest, self.since = 0, 0, at
        more, self.newest = monitoring_queries.rows_after(store, table, self.newest)
        self.rows += more
        return self.rows


@dataclass
class Watcher:
    """Looks at one prediction log, once `open` can give it; `before` is the snapshot that an earlier process left."""

    open: Callable[[], Store]
    registered: RegistryView
    options: MonitorOptions
    jobs: Callable[[], list[results.Job]] = list
    before: results.Snapshot = field(default_factory=lambda: results.Snapshot(0))

    def __post_init__(self) -> None:
        self._labels = Labels(self.open)
        self._led = False
        self._noted: dict[str, list[Event]] = {}
        self._counts: dict[monitoring_queries.Counted, Count] = {"predictions": Count(), "labels": Count()}
        self._partial: dict[tuple[str, str], tuple[int, results.QualityWindow]] = {}

    @property
    def store(self) -> Store:
        """The prediction log. Raises StoreError: its database is out of reach."""
        return self.open()

    def look(self, at: float, state: results.LogState) -> results.Snapshot:
        """Measure what is new and return how everything is, at a time in seconds since 1970.

        `state` says what the recorder knows of the spool. While the database is out of reach, what was known of the
        models stands, and the log's state says why.
        """
        state.lost = max(state.lost, self.before.log.lost)
        snapshot = results.Snapshot(at, state, self.before.models, self.before.alerts, self.before.jobs)
        try:
            versions = {name: self._known(name, at) for name in self.options.models}
            self._measure(versions, at)
            snapshot.models = {name: self._model(name, model_versions, at) for name, model_versions in versions.items()}
            snapshot.alerts, snapshot.jobs = self._alerts(snapshot.models, at), self.jobs()
            state.stored, state.labels = (each.look(self.store, name, at) for name, each in self._counts.items())
            state.lost = max(state.lost, self.store.lost())
        except StoreError as error:
            state.reachable, state.fault = False, error.problem
            snapshot.alerts = [alert for alert in self.before.alerts if alert.kind not in alerts.LOCAL]
        refused = self._refused(snapshot.models, at) if state.reachable else []
        snapshot.alerts = [*alerts.about_server(self.before, state, refused, at), *snapshot.alerts]
        self.before = snapshot
        return snapshot

    def _known(self, name: str, at: float) -> ModelVersions:
        """Return who is in which role, from the registry, else from what was noted of it, else from the traffic."""
        versions = self.registered.look(name)
        if versions.moves != self._noted.get(name, []):
            monitoring_queries.keep_moves(self.store, name, [event for event in versions.moves if event.at])
            self._noted[name] = list(versions.moves)
        if versions.production is None and not versions.moves:
            versions.moves = monitoring_queries.moves(self.store, name, MOST_MOVES)
            moved = next((event for event in versions.moves if event.action != "refused"), None)
            busy = monitoring_queries.traffic(self.store, name, at - HOUR_S, HOUR_S)
            busiest = max(busy, key=lambda version: sum(busy[version].values()), default="")
            version = moved.version if moved else busiest
            versions.production = results.VersionInfo(version) if version else None
        return versions

    def _measure(self, versions: Mapping[str, ModelVersions], at: float) -> None:
        """Measure the windows that are full, if this process is the one to do so."""
        with monitoring_queries.leading(self.store) as leads:
            if leads and not self._led:
                self._labels = Labels(self.open)
            self._led = leads
            if not leads:
                return
            share = self.options.challenger_share
            for name, model_versions in versions.items():
                if model_versions.production and model_versions.challenger:
                    self._labels.challenge(
                        name, model_versions.production.version, model_versions.challenger.version, share
                    )
            profiles = {name: self._profile_of(name) for name in versions}
            windows.measure_labels(self._labels, profiles, at, LABELS_S)
            for name, model_versions in versions.items():
                profile = self._profile(name, model_versions)
                if profile and model_versions.production:
                    position = windows.WindowPosition(
                        name, model_versions.production.version, profile, self.options.log_rows
                    )
                    windows.measure_drift(self.store, position, at, WINDOWS_S)

    def _profile_of(self, model: str) -> Callable[[str], Profile | None]:
        return lambda version: self.registered.made(model, version).profile

    def _profile(self, model: str, versions: ModelVersions) -> Profile | None:
        return self.registered.made(model, versions.production.version).profile if versions.production else None

    def _model(self, name: str, versions: ModelVersions, at: float) -> results.ModelState:
        """Return all that is known of one model."""
        version = versions.production.version if versions.production else ""
        bundle = self.registered.made(name, version)
        state = results.ModelState(name, bundle.task, list(bundle.labels), versions.production, versions.challenger)
        state.history = registry_view.history_of(versions, MOST_MOVES)
        state.traffic = [self._traffic(name, at, count, bucket_s) for count, bucket_s in SPANS]
        state.latency = {
            counted_version: percentiles(counts)
            for counted_version, counts in monitoring_queries.latencies(self.store, name, at - HOUR_S).items()
        }
        if bundle.task != "regression":
            state.mix = {
                counted_version: shares(counts)
                for counted_version, counts in monitoring_queries.mix(self.store, name, at - HOUR_S).items()
            }
        state.drift = self._drift(name, versions, at)
        if bundle.profile:
            state.mix_baseline = bundle.profile.mix_baseline()
            state.quality = self._quality(name, versions, bundle.profile)
        state.challenge = self._challenge(name, versions)
        return state

    def _traffic(self, name: str, at: float, count: int, bucket_s: int) -> results.Traffic:
        last = int(at) // bucket_s * bucket_s
        starts = list(range(last - (count - 1) * bucket_s, last + bucket_s, bucket_s))
        buckets = monitoring_queries.traffic(self.store, name, starts[0], bucket_s)
        filled = {
            version: [per_bucket.get(start, 0) for start in starts] for version, per_bucket in sorted(buckets.items())
        }
        return results.Traffic(bucket_s, [float(start) for start in starts], filled)

    def _drift(self, name: str, versions: ModelVersions, at: float) -> list[results.DriftWindow]:
        """Return the windows, with all features for the newest of each version; before the first, what came so far."""
        stored = monitoring_queries.windows(self.store, results.DriftWindow, name, MOST_WINDOWS)
        profile = self._profile(name, versions)
        measured = {window.version for window in stored}
        if profile and versions.production and versions.production.version not in measured:
            version = versions.production.version
            rows, first = monitoring_queries.waiting(self.store, windows.next_rows(name, version, 0, profile))
            stored.insert(0, results.DriftWindow(version, first or at, at, rows, "not enough data"))
        return stored

    def _quality(self, name: str, versions: ModelVersions, profile: Profile) -> results.Quality:
        """Return the windows of quality, and before them those that are filling."""
        windows = monitoring_queries.windows(self.store, results.QualityWindow, name, MOST_WINDOWS)
        filling = [self._filling(name, version) for version in versions.versions()]
        filled = [window for window in filling if window]
        return results.Quality(profile.metric, profile.higher_is_better, profile.evaluation, [*filled, *windows])

    def _filling(self, name: str, version: str) -> results.QualityWindow | None:
        """Return the window of quality that is not full yet, measured anew only if labels came."""
        waiting = list(self._labels.pending.get((name, version), {}).values())
        profile = self.registered.made(name, version).profile
        if not waiting or profile is None:
            return None
        count, window = self._partial.get((name, version), (0, None))
        if window is None or count != len(waiting):
            window = windows.measure_quality(profile, version, waiting)
            window.verdict = "not enough data"
            self._partial[name, version] = (len(waiting), window)
        return window

    def _challenge(self, name: str, versions: ModelVersions) -> results.Challenge | None:
        """Return how challenger and Production compare, or that this is not known yet."""
        if not (versions.production and versions.challenger):
            return None
        pair = (versions.production.version, versions.challenger.version)
        share = self.options.challenger_share
        for challenge in monitoring_queries.windows(self.store, results.Challenge, name, MOST_WINDOWS, pair[1]):
            if (challenge.production, challenge.challenger, challenge.share) == (*pair, share):
                return challenge
        duel = self._labels.duels.get(name)
        waiting = (len(duel.production.answers), len(duel.challenger.answers)) if duel else (0, 0)
        metric = "mae" if self.registered.made(name, pair[0]).task == "regression" else "accuracy"
        return results.Challenge(*pair, share, metric, *waiting)

    def _alerts(self, models: Mapping[str, results.ModelState], at: float) -> list[results.Alert]:
        """Open, raise and close the alerts of all models, and return the newest."""
        open_alerts = monitoring_queries.open_alerts(self.store)
        opened: dict[tuple[str, str, str], results.Alert] = {
            (opened_alert.kind, opened_alert.model, opened_alert.version): opened_alert for opened_alert in open_alerts
        }
        for name, state in models.items():
            version = state.production.version if state.production else ""
            for kind, finding in self._findings(name, state):
                before = opened.get((kind, name, version))
                after = alerts.follow(before, finding, at)
                if after and after != before:
                    monitoring_queries.keep_alert(self.store, after)
            for alert in opened.values():
                if alert.model == name and version and (over := alerts.taken_over(alert, [version], at)):
                    monitoring_queries.keep_alert(self.store, over)
        return monitoring_queries.alerts(self.store, MOST_ALERTS)

    def _refused(self, models: Mapping[str, results.ModelState], at: float) -> list[alerts.Condition]:
        """Return the models of which many rows are refused."""
        if self.options.refusals is None:
            return []
        sample = list(refusals.read(self.options.refusals))
        conditions = [alerts.of_refused(name, sample, _answered(state, at), at) for name, state in models.items()]
        return [condition for condition in conditions if condition]

    def _findings(self, name: str, state: results.ModelState) -> list[tuple[str, alerts.Condition | None]]:
        profile = self.registered.made(name, state.production.version).profile if state.production else None
        if profile is None or state.production is None:
            return []
        version, in_a_row = state.production.version, profile.thresholds.windows_in_a_row
        drift = monitoring_queries.windows(self.store, results.DriftWindow, name, in_a_row, version)
        quality = monitoring_queries.windows(self.store, results.QualityWindow, name, in_a_row, version)
        return [
            ("drift", alerts.of_drift(name, drift, in_a_row)),
            ("quality", alerts.of_quality(name, profile.metric, quality, in_a_row)),
        ]


def percentiles(counts: Mapping[int, int]) -> results.Latency:
    """Return percentiles in milliseconds from the requests in each bucket of the latency."""
    total, below = sum(counts.values()), 0
    wanted, values = [0.5, 0.95, 0.99], []
    for bucket in sorted(counts):
        below += counts[bucket]
        while wanted and below >= wanted[0] * total:
            values.append(latency_us_of(bucket) / 1000)
            wanted.pop(0)
    return results.Latency(values[0], values[1], values[2], total)


def _answered(state: results.ModelState, at: float) -> int:
    """Return how many rows of a model were answered while refused ones count."""
    minutes = state.traffic[0]
    recent = [start > at - alerts.REFUSED_S - minutes.bucket_s for start in minutes.starts]
    return sum(sum(compress(counts, recent)) for counts in minutes.by_version.values())


def shares(counts: Mapping[str, int]) -> results.Distribution:
    """Return the share of each answer."""
    total = max(1, sum(counts.values()))
    return results.Distribution([counts[name] / total for name in sorted(counts)], sorted(counts))


def start(settings: Settings, store: Callable[[], Store], jobs: Callable[[], list[results.Job]] = list) -> Watcher:
    """Return the watcher of a server, which goes on where the one before it ended."""
    state = Path(settings.state).absolute()
    before = results.read(state / results.FILE)
    registered = RegistryView(partial(remote.connect, settings), state, before)
    options = MonitorOptions(model_names(settings), settings.log_rows, settings.challenger_share, state / refusals.FILE)
    return Watcher(store, registered, options, jobs, before or results.Snapshot(0))
