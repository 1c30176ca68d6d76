"""Metrics for Prometheus, right across the workers where they share a folder."""

import collections
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from prometheus_flask_exporter import PrometheusMetrics

from flask_app.admission import guard
from flask_app.models.model_service import ModelService, Serving
from flask_app.observability.gauges import SnapshotGauges
from flask_app.observability.metric_files import MetricFile
from lockstep import compat
from lockstep.config.settings import Settings
from lockstep.data.schema import Label, label_name
from lockstep.drift import results
from lockstep.inference.predictor import Predictions
from lockstep.prediction_log.records import Scalar

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BUCKETS_SCORE = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
# Labels and versions with series of their own in one process, and such series of predictions; the rest is `other`.
MOST_LABELS, MOST_VERSIONS, MOST_SERIES = 100, 50, 1000
OTHER = "other"
LOADED = "model_loaded"
VALUE = "value"
METHODS = ("GET", "HEAD", "POST", "OPTIONS")


class _Summed(Collector):
    """The metrics of all processes that share a folder, without the versions that serve no more."""

    def __init__(self, folder: str) -> None:
        self._all = MultiProcessCollector(None, folder)

    def collect(self) -> Iterator[Metric]:
        """Yield each metric, summed up over the processes."""
        for metric in self._all.collect():
            if metric.name == LOADED:
                metric.samples = [sample for sample in metric.samples if sample.value]
            yield metric


class _Exporter(PrometheusMetrics):
    """Serves /metrics from one registry.

    The exporter's own method would add up the files of PROMETHEUS_MULTIPROC_DIR a second time beside our collector,
    which already sums the processes and leaves out the counters of versions that are gone.
    """

    def generate_metrics(self, accept_header: str | None = None, names: Any = None) -> tuple[str, str]:
        """Return the metrics, of which `names` picks some, in the format that a scrape asks for, and its type."""
        encode, content_type = choose_encoder(accept_header or "")
        registry = self.registry.restricted_registry(names) if names else self.registry
        return encode(registry).decode(), content_type


class Telemetry:
    """The metrics of one app."""

    def __init__(self, registry: CollectorRegistry, shown: CollectorRegistry | None = None) -> None:
        self.shown = shown or registry  # that of all processes
        self._children: dict[tuple[str, str, str], Counter] = {}
        self._score_children: dict[tuple[str, str], Histogram] = {}
        counter, histogram = partial(Counter, registry=registry), partial(Histogram, registry=registry)
        gauge = partial(Gauge, registry=registry, multiprocess_mode="mostrecent")
        self.requests = counter("app_request_count", "Requests answered.", ["method", "endpoint", "status"])
        self.latency = histogram("app_request_latency_seconds", "Time to answer.", ["endpoint"], buckets=BUCKETS_S)
        answer = ["model", "version", "prediction"]
        self.predictions = counter("model_prediction_count", "Predictions by answer.", answer)
        about = "Share of the last of two labels, or the largest of more."
        self.scores = histogram("model_prediction_score", about, ["model", "version"], buckets=BUCKETS_SCORE)
        self.cached = counter("prediction_cache", "Rows looked up in the cache, and its faults.", ["result"])
        self.refused = counter("model_refused_values", "Values refused with 422.", ["model", "column", "reason"])
        self.feedback = counter("model_feedback", "Predictions whose label came back.", ["model", "label"])
        about = "Values that came with labels, those above 0 and the sizes of those below."
        self.values = counter("model_feedback_value", about, ["model", "label", "sign"])
        about = "Requests under way, of which a scrape is one; LOCKSTEP_MAX_IN_FLIGHT bounds those of a worker."
        self.in_flight = Gauge("app_requests_in_flight", about, registry=registry, multiprocess_mode="sum")
        self.in_flight.set(0)  # the file of a worker that was killed may have another number
        about = "Categories predicted from that training has not seen."
        self.unseen = counter("model_unseen_categories", about, ["model", "column"])
        self.lost = counter("prediction_log_lost", "Predictions answered that there was no room to write down.")
        self.loaded = gauge(LOADED, "1 for the version that serves.", ["name", "version"])
        about = "When the version that serves was loaded, in seconds since 1970."
        self.load_time = gauge("model_load_timestamp_seconds", about, ["name"])
        self.registry_errors = counter("model_registry_errors", "Looks at the registry that got no answer.")
        self.reachable = gauge("model_registry_up", "1 if the registry answers.")

    def count_predictions(self, serving: Serving, predictions: Predictions) -> None:
        """Count answers by label and scores; a regression's answers all count as `value`, and it has no score.

        Rare labels of many count as `other`.
        """
        labels, values = serving.predictor.schema.labels, predictions.values
        if not labels or predictions.shares is None:
            self._counted(serving, VALUE).inc(len(values))
            return
        counts = {values[0]: 1} if len(values) == 1 else collections.Counter(values)
        for value, count in counts.items():
            name = label_name(value) if value in labels[:MOST_LABELS] else OTHER
            self._counted(serving, name).inc(count)
        self._observe(serving, [shares[-1] if len(labels) == 2 else max(shares) for shares in predictions.shares])

    def _counted(self, serving: Serving, name: str) -> Counter:
        key = (serving.name, serving.version, name)
        child = self._children.get(key)
        if child is None:
            version = serving.version if len(self._children) < MOST_SERIES else OTHER
            child = self._children[key] = self.predictions.labels(serving.name, version, name)
        return child

    def _observe(self, serving: Serving, scores: Sequence[float]) -> None:
        """Observe scores, those of one bucket at once: a batch of thousands costs no more than a few."""
        key = (serving.name, serving.version)
        if key not in self._score_children:
            version = serving.version if len(self._score_children) < MOST_VERSIONS else OTHER
            self._score_children[key] = self.scores.labels(serving.name, version)
        histogram = self._score_children[key]
        if len(scores) == 1:
            histogram.observe(scores[0])
            return
        buckets = collections.Counter(bisect_left(BUCKETS_SCORE, score) for score in scores)
        compat.observe_many(histogram, sum(scores), buckets)

    def count_refused(self, model: str, column: str, reason: str, values: int) -> None:
        """Count values that were refused; the caller bounds the columns."""
        self.refused.labels(model, column, reason).inc(values)

    def count_feedback(self, model: str, labels: Sequence[Label], label: Scalar, new: int, value: float) -> None:
        """Count a label that is new, and its value; a regression's count as `value`, rare labels as `other`."""
        name = next((label_name(each) for each in labels[:MOST_LABELS] if each == label), OTHER if labels else VALUE)
        self.feedback.labels(model, name).inc(new)
        if value:
            self.values.labels(model, name, "gain" if value > 0 else "loss").inc(abs(value))

    def summary(self, model: str) -> tuple[int, list[Sample]]:
        """Return the requests under way, and the counts of what came back of a model."""
        samples = [sample for metric in self.shown.collect() for sample in metric.samples]
        feedback = {"model_feedback_total", "model_feedback_value_total"}
        in_flight = sum(int(sample.value) for sample in samples if sample.name == "app_requests_in_flight")
        return in_flight, [each for each in samples if each.name in feedback and each.labels["model"] == model]

    def count_unseen(self, model: str, column: str, values: int) -> None:
        """Count values of a category that training has not seen."""
        self.unseen.labels(model, column).inc(values)

    def count_cached(self, result: str, rows: int) -> None:
        """Count rows by what the cache said: hit or miss; a fault counts once."""
        self.cached.labels(result).inc(rows)

    def on_swap(self, before: Serving | None, after: Serving) -> None:
        """Say which version serves; the series of the one before falls to 0, and is not shown any more."""
        if before:
            self.loaded.labels(before.name, before.version).set(0)
        self.loaded.labels(after.name, after.version).set(1)
        self.load_time.labels(after.name).set(after.loaded_at.timestamp())

    def on_look(self, reachable: bool) -> None:
        """Say whether the registry answers."""
        self.reachable.set(int(reachable))
        if not reachable:
            self.registry_errors.inc()

    def counter(self, method: str, rule: str, status: int) -> Callable[[float], None]:
        """Return what counts an answer under a route that is known beforehand, given the seconds it took."""
        requests, latency = self.requests.labels(method, rule, status), self.latency.labels(rule)

        def count(seconds: float) -> None:
            requests.inc()
            latency.observe(seconds)

        return count

    def start_clock(self) -> None:
        """Note when the request came."""
        g.started = time.perf_counter()

    def count_request(self, response: Response) -> Response:
        """Count the answer under its route, so that no address made up by a client makes a series."""
        endpoint = request.url_rule.rule if request.url_rule else "unmatched"
        method = request.method if request.method in METHODS else OTHER
        self.requests.labels(method, endpoint, response.status_code).inc()
        if "started" in g:
            self.latency.labels(endpoint).observe(time.perf_counter() - g.started)
        return response


def init_app(app: Flask, services: Sequence[ModelService], settings: Settings) -> None:
    """Count requests, predictions and swaps, and answer /metrics.

    With a folder, which PROMETHEUS_MULTIPROC_DIR must name too, an answer sums up all processes that share it.
    """
    registry = shown = CollectorRegistry()
    if settings.metrics_dir:
        compat.replace_metric_files(MetricFile)
        Path(settings.metrics_dir).mkdir(parents=True, exist_ok=True)
        shown = CollectorRegistry()
        shown.register(_Summed(settings.metrics_dir))
    shown.register(SnapshotGauges(Path(settings.state).absolute() / results.FILE, settings.monitor_s))
    telemetry = Telemetry(registry, shown)
    guard.from_app(app).limiter.count = telemetry.in_flight.inc
    for service in services:
        service.swapped.append(telemetry.on_swap)
        service.looked.append(telemetry.on_look)
    app.extensions["telemetry"] = telemetry
    app.before_request(telemetry.start_clock)
    app.after_request(telemetry.count_request)
    _Exporter(app, registry=shown, path="/metrics", export_defaults=False, group_by="url_rule")
    app.add_url_rule("/metrics/prometheus", "metrics_alias", app.view_functions["prometheus_metrics"])


def from_app(app: Flask) -> Telemetry:
    """Return the metrics of an app."""
    return app.extensions["telemetry"]
