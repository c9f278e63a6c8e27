"""The Starlette application: routes over the parts, errors as JSON."""

from __future__ import annotations

from importlib.metadata import version

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from rag_runtime.answer.errors import RequestError
from rag_runtime.answer.telemetry import Telemetry
from rag_runtime.serve import openapi
from rag_runtime.serve.chat import Chat
from rag_runtime.serve.edge import Drain, Edge, Endpoint, error_response, guarded
from rag_runtime.serve.health import Health
from rag_runtime.serve.queries import Desk, Queries


class _RoutingError(RequestError):
    """No such path, or not with this method."""

    def __init__(self, error: HTTPException) -> None:
        super().__init__("no such path" if error.status_code == 404 else "not with this method")
        self.status = error.status_code
        self.kind = "not_found" if error.status_code == 404 else "method_not_allowed"


def application(desk: Desk, model: str, health: Health, telemetry: Telemetry, drain: Drain) -> ASGIApp:
    """The whole HTTP service."""
    queries, chat = Queries(desk), Chat(desk, model)
    document = openapi.document(version("rag-operator"))

    async def describe(_: Request) -> Response:
        return JSONResponse(document)

    def post(path: str, endpoint: Endpoint) -> Route:
        return Route(path, guarded(endpoint), methods=["POST"])

    routes = [
        post("/v1/query", queries.query),
        post("/v1/search", queries.search),
        post("/v1/chat/completions", chat.completions),
        Route("/v1/models", guarded(chat.models), methods=["GET"]),
        Route("/healthz", health.healthz, methods=["GET"]),
        Route("/readyz", health.readyz, methods=["GET"]),
        Route("/metrics", health.metrics, methods=["GET"]),
        Route("/openapi.json", describe, methods=["GET"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _not_routed})
    return Edge(app, telemetry, drain)


async def _not_routed(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = error_response(_RoutingError(error))
    response.headers.update(error.headers or {})
    return response
