"""Counts and times of the server, for Prometheus."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """Counters of one application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        count = partial(Counter, namespace="glyphsight", registry=self._registry)
        gauge = partial(Gauge, namespace="glyphsight", registry=self._registry)
        timed = partial(
            Histogram, namespace="glyphsight", registry=self._registry, buckets=_SECONDS
        )
        self.requests = count("requests", "Requests.", ["path", "status"])
        self.seconds = timed(
            "request_seconds", "From the head of a request to the end of its reply.", ["path"]
        )
        self.reading = timed("read_seconds", "From pictures and sounds of a request to text.")
        self.parts = count("parts", "Pictures and sounds that were read.", ["kind"])
        self.tokens = count("read_tokens", "Tokens of their texts.")
        self.gone = count("clients_gone", "Clients that went away before the end.")
        self.busy = gauge("requests_in_progress", "Requests worked at or waiting.")
        self.held = gauge("body_bytes_held", "Bytes of the bodies of these requests.")

    async def page(self, request: Request) -> Response:
        """Return the page that Prometheus reads."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)
