"""Numbers for Prometheus."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

__all__ = ["TEXT", "Metrics"]

TEXT = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
PICTURES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Prometheus metrics of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "cutline_requests", "Requests answered", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "cutline_request_seconds",
            "Seconds from a request's headers to the end of its answer",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.images = Counter(
            "cutline_images",
            "Pictures captioned, and pictures that could not be",
            ["outcome"],
            registry=self.registry,
        )
        self.batches = Histogram(
            "cutline_batch_images",
            "Pictures that were captioned together",
            buckets=PICTURES,
            registry=self.registry,
        )
        self.inside = Gauge(
            "cutline_requests_inside", "Requests that are worked on", registry=self.registry
        )
        self.held = Gauge(
            "cutline_held_bytes", "Bytes of bodies that are held", registry=self.registry
        )

    def text(self) -> bytes:
        """Return all numbers in Prometheus' text format."""
        return generate_latest(self.registry)
