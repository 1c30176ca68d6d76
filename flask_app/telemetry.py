"""Metrics for Prometheus, right across the workers where they share a folder."""

import collections
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_flask_exporter import PrometheusMetrics
from prometheus_flask_exporter.multiprocess import MultiprocessInternalPrometheusMetrics

from flask_app.model_service import ModelService, Serving
from lockstep.data.schema import label_name
from lockstep.modeling.predictor import Predictions

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
MOST_LABELS = 100
OTHER = "other"
VALUE = "value"
METHODS = ("GET", "HEAD", "POST", "OPTIONS")


class _OfAllProcesses(MultiprocessInternalPrometheusMetrics):
    def generate_metrics(self, accept_header: str | None = None, names: Any = None) -> Any:
        """Return all metrics whatever the request's filter names, on which the exporter fails in this mode."""
        return super().generate_metrics(accept_header)


class Telemetry:
    """The metrics of one app."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._children: dict[str, Counter] = {}
        self.requests = Counter(
            "app_request_count", "Requests answered.", ["method", "endpoint", "status"], registry=registry
        )
        self.latency = Histogram(
            "app_request_latency_seconds", "Time to answer.", ["endpoint"], registry=registry, buckets=BUCKETS_S
        )
        self.predictions = Counter(
            "model_prediction_count", "Predictions by answer.", ["prediction"], registry=registry
        )
        self.cached = Counter(
            "prediction_cache", "Rows looked up in the cache, and its faults.", ["result"], registry=registry
        )
        self.lost = Counter(
            "prediction_log_lost", "Predictions answered that there was no room to write down.", registry=registry
        )
        self.loaded = Gauge(
            "model_loaded",
            "1 for the version that serves.",
            ["name", "version"],
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self.reachable = Gauge(
            "model_registry_up", "1 if the registry answers.", registry=registry, multiprocess_mode="mostrecent"
        )

    def count_predictions(self, serving: Serving, predictions: Predictions) -> None:
        """Count answers by label; a regression's all count as `value`, and rare labels of many as `other`."""
        labels = serving.predictor.schema.labels
        if not labels:
            self._counted(VALUE).inc(len(predictions.values))
            return
        for value, count in collections.Counter(predictions.values).items():
            self._counted(label_name(value) if value in labels[:MOST_LABELS] else OTHER).inc(count)

    def _counted(self, name: str) -> Counter:
        if name not in self._children:
            self._children[name] = self.predictions.labels(name)
        return self._children[name]

    def count_cached(self, result: str, rows: int) -> None:
        """Count rows by what the cache said: hit or miss; a fault counts once."""
        self.cached.labels(result).inc(rows)

    def on_swap(self, before: Serving | None, after: Serving) -> None:
        """Say which version serves; the series of the one before stays, at 0."""
        if before:
            self.loaded.labels(before.name, before.version).set(0)
        self.loaded.labels(after.name, after.version).set(1)

    def on_look(self, reachable: bool) -> None:
        """Say whether the registry answers."""
        self.reachable.set(int(reachable))

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


def install(app: Flask, services: Sequence[ModelService], folder: str) -> None:
    """Count requests, predictions and swaps, and answer /metrics.

    With a folder, which PROMETHEUS_MULTIPROC_DIR must name too, an answer sums up all processes that share it.
    """
    registry = CollectorRegistry()
    options = {"path": "/metrics", "export_defaults": False, "group_by": "url_rule"}
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        _OfAllProcesses(app, registry=CollectorRegistry(), **options)
    else:
        PrometheusMetrics(app, registry=registry, **options)
    telemetry = Telemetry(registry)
    for service in services:
        service.swapped.append(telemetry.on_swap)
        service.looked.append(telemetry.on_look)
    app.extensions["telemetry"] = telemetry
    app.before_request(telemetry.start_clock)
    app.after_request(telemetry.count_request)


def of(app: Flask) -> Telemetry:
    """Return the metrics of an app."""
    telemetry: Telemetry = app.extensions["telemetry"]
    return telemetry
