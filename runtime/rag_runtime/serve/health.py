"""`/healthz`, `/readyz`, `/metrics`: for the kubelet and for Prometheus, without a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rag_runtime.answer.telemetry import Telemetry
from rag_runtime.contract import metrics as names
from rag_runtime.serve.catalog import Catalog
from rag_runtime.serve.lease import ReaderLease


class Health:
    """Says whether this process lives and whether it may be sent requests. `checks`: by name, what must hold."""

    def __init__(self, telemetry: Telemetry, checks: Mapping[str, Callable[[], bool]]) -> None:
        self._telemetry = telemetry
        self._checks = checks

    async def healthz(self, _: Request) -> Response:
        """The event loop turns."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, _: Request) -> Response:
        """200 when every check holds; the body names each."""
        found = {name: check() for name, check in self._checks.items()}
        ready = all(found.values())
        return JSONResponse({"ready": ready, "checks": found}, status_code=200 if ready else 503)

    async def metrics(self, _: Request) -> Response:
        """Prometheus's text format."""
        return Response(generate_latest(self._telemetry.registry), headers={"content-type": CONTENT_TYPE_LATEST})


def watch_catalog(telemetry: Telemetry, catalog: Catalog, lease: ReaderLease) -> None:
    """Gauges that are read at scrape time."""
    registry = telemetry.registry

    def gauge(name: str, text: str, read: Callable[[], float]) -> None:
        Gauge(name, text, registry=registry).set_function(read)

    gauge(names.CATALOG_TENANTS, "Tenants that this pod answers for", lambda: float(len(catalog.tenants)))
    gauge(names.CATALOG_PROMOTION, "Newest promotion applied", lambda: float(catalog.number))
    gauge(names.CATALOG_AGE_SECONDS, "Since the catalog was read in full", catalog.age)
    gauge(names.LEASE_REMAINING_SECONDS, "How long this pod may still pin", lambda: max(-1.0, lease.remaining))
