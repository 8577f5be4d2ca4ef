"""How the server fares, for Prometheus: in a registry of its own.

trunkline_model_info{name="flights_late",version="5c21…",run="01a2…"} 1
trunkline_requests_total{path="/predict",status="200"} 12
trunkline_request_seconds_bucket{path="/predict",le="0.005"} 11
trunkline_model_seconds_bucket{le="0.001"} 12      of that, in onnxruntime
trunkline_rows_total 1200
trunkline_requests_in_progress 0
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from trunkline.serve.found import Model

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Meter:
    """Counts; every method may be called from any thread."""

    def __init__(self, model: Model) -> None:
        own = self._registry = CollectorRegistry()
        info = Gauge(
            "trunkline_model_info", "The model that is served", ("name", "version", "run"), registry=own
        )
        info.labels(model.name, model.version, model.run).set(1)
        self._requests = Counter("trunkline_requests", "Requests answered", ("path", "status"), registry=own)
        self._seconds = Histogram(
            "trunkline_request_seconds",
            "Of an answer, as it was made",
            ("path",),
            buckets=_SECONDS,
            registry=own,
        )
        self._model = Histogram(
            "trunkline_model_seconds", "Of a computation of the model", buckets=_SECONDS, registry=own
        )
        self._rows = Counter("trunkline_rows", "Rows predicted", registry=own)
        self.under_way = Gauge("trunkline_requests_in_progress", "Requests under way", registry=own)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """A request has its answer."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def predicted(self, rows: int, seconds: float) -> None:
        """The model has computed."""
        self._rows.inc(rows)
        self._model.observe(seconds)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)
