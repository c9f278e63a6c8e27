"""The HTTP edge of every request: ids, body limit, key, validation, errors, metrics and the one log line."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import uuid4

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_runtime.answer.errors import (
    InvalidFieldError,
    InvalidRequestError,
    RequestError,
    TooLargeError,
    UnauthenticatedError,
)
from rag_runtime.answer.telemetry import Telemetry
from rag_runtime.logs import fields
from rag_runtime.retrieve.tenants import Tenant
from rag_runtime.serve.schemas import ErrorDetail, ErrorResponse

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 256 * 1024
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
B = TypeVar("B", bound=BaseModel)


@dataclass(slots=True)
class Trace:
    """What is noted of one request for its metric and its log line."""

    request_id: str
    started: float = field(default_factory=time.perf_counter)
    timings: dict[str, float] = field(default_factory=dict)
    tenant: str | None = None
    outcome: str = ""
    status: int = 0


@dataclass(slots=True)
class Drain:
    """Whether the process is ending: then it is not ready, and every response closes its connection."""

    draining: bool = False
    on_failure: Callable[[], None] | None = None

    def failed(self) -> None:
        """A part that the service can't do without has died."""
        if self.on_failure is not None:
            self.on_failure()


class Edge:
    """ASGI middleware around the application: gives each request its Trace, and accounts for it at the end."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry, drain: Drain) -> None:
        self._app = app
        self._telemetry = telemetry
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace = Trace(_request_id(Request(scope)))
        scope["trace"] = trace

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                trace.status = message["status"]
                message["headers"].append((b"x-request-id", trace.request_id.encode()))
                if self._drain.draining:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        with self._telemetry.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, sending)
            finally:
                self._account(scope, trace)

    def _account(self, scope: Scope, trace: Trace) -> None:
        route = scope["path"] if trace.outcome else None
        if route is None:
            return
        seconds = time.perf_counter() - trace.started
        self._telemetry.request(route, trace.tenant, trace.outcome, seconds)
        logger.info(
            "request",
            extra=fields(
                request_id=trace.request_id,
                route=route,
                tenant=trace.tenant,
                status=trace.status,
                outcome=trace.outcome,
                ms=round(seconds * 1000, 2),
                timings=trace.timings,
            ),
        )


def trace_of(request: Request) -> Trace:
    """The request's Trace."""
    trace: Trace = request.scope["trace"]
    return trace


def api_key_of(request: Request) -> str:
    """The key of `Authorization: Bearer …` or `x-api-key`. Raises UnauthenticatedError."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    if key := request.headers.get("x-api-key", "").strip():
        return key
    raise UnauthenticatedError("send the tenant's API key as `Authorization: Bearer …` or `x-api-key`", "authorization")


async def body_of(request: Request, model: type[B]) -> B:
    """The request's JSON as `model`. Raises TooLargeError, InvalidRequestError, InvalidFieldError."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise TooLargeError(f"the body may have at most {MAX_BODY_BYTES} bytes")
        parts.append(part)
    try:
        return model.model_validate_json(b"".join(parts))
    except ValidationError as error:
        raise _first_error(error) from None


def _first_error(error: ValidationError) -> RequestError:
    """The first broken rule, naming the field and never quoting its value."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return InvalidRequestError("the body is not JSON")
    name = ".".join(str(part) for part in first["loc"])
    if not name:
        return InvalidRequestError("the body must be a JSON object")
    return InvalidFieldError(f"{name}: {first['msg']}", name)


def error_response(error: RequestError) -> JSONResponse:
    """An error as JSON, with Retry-After where repeating helps."""
    headers = {"retry-after": str(error.retry_after)} if error.retry_after is not None else {}
    if error.status == UnauthenticatedError.status:
        headers["www-authenticate"] = "Bearer"
    detail = ErrorDetail(type=error.kind, message=str(error), field=error.field)
    body = ErrorResponse(error=detail).model_dump(exclude_none=True)
    return JSONResponse(body, status_code=error.status, headers=headers)


Endpoint = Callable[[Request], Awaitable[Response]]


def guarded(endpoint: Endpoint) -> Endpoint:
    """`endpoint` with its errors turned into responses: the border at which nothing may escape."""

    async def run(request: Request) -> Response:
        trace = trace_of(request)
        try:
            return await endpoint(request)
        except RequestError as error:
            trace.outcome = error.kind
            return error_response(error)
        except ClientDisconnect:
            trace.outcome = "disconnected"
            return Response(status_code=499)
        except Exception:  # boundary: the worker; one request must not end the process, nor show its inside
            trace.outcome = RequestError.kind
            logger.exception("request failed", extra=fields(request_id=trace.request_id, tenant=trace.tenant))
            return error_response(RequestError(f"something went wrong; the log has request {trace.request_id}"))

    return run


def noted(trace: Trace, tenant: Tenant) -> None:
    """Remember whose request this is."""
    trace.tenant = tenant.label


def _request_id(request: Request) -> str:
    """The caller's `x-request-id` where it is one, else a new one."""
    given = request.headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid4().hex
