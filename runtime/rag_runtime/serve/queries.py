"""`POST /v1/query` and `POST /v1/search`; what every answering route shares."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from rag_runtime.answer.errors import UnauthenticatedError, UnavailableError
from rag_runtime.answer.path import Path
from rag_runtime.answer.telemetry import Telemetry
from rag_runtime.answer.work import Ask, Done, Event, Reply, Sources, Text
from rag_runtime.contract.config import EVERYONE
from rag_runtime.logs import fields
from rag_runtime.models.ports import Turn
from rag_runtime.retrieve.tenants import Tenant
from rag_runtime.serve.catalog import Catalog
from rag_runtime.serve.edge import Trace, api_key_of, body_of, noted, trace_of
from rag_runtime.serve.replies import query_response, search_response, source_body
from rag_runtime.serve.schemas import QueryRequest, SearchRequest
from rag_runtime.serve.sse import EventStream, frame

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where answering routes turn requests into asks."""

    catalog: Catalog
    path: Path
    telemetry: Telemetry
    top_k: int

    def tenant_of(self, request: Request) -> Tenant:
        """The tenant that the request's key belongs to. Raises UnauthenticatedError, UnavailableError."""
        trace = trace_of(request)
        with self.telemetry.stage("authenticate", trace.timings):
            tenant = self.catalog.by_key(api_key_of(request))
        if tenant is None and not self.catalog.applied:
            raise UnavailableError("this pod has not read yet which tenants there are")
        if tenant is None:
            raise UnauthenticatedError("the API key belongs to no tenant of this pipeline", "authorization")
        noted(trace, tenant)
        return tenant

    def ask(
        self, trace: Trace, tenant: Tenant, question: str, top_k: int | None, history: tuple[Turn, ...] = ()
    ) -> Ask:
        """A request of `tenant`. Its callers are everyone: keys carry no groups."""
        return Ask(
            request_id=trace.request_id,
            tenant=tenant,
            question=question,
            top_k=top_k or self.top_k,
            acl=(EVERYONE,),
            history=history,
            started=trace.started,
            timings=trace.timings,
        )

    async def reply(self, trace: Trace, ask: Ask) -> Reply:
        """The whole answer. Raises RequestError."""
        async with contextlib.aclosing(self.path.answer(ask)) as events:
            async for event in events:
                if isinstance(event, Done):
                    trace.outcome = outcome_of(event.reply)
                    return event.reply
        raise RuntimeError("an answer ended without its end")

    async def events(self, trace: Trace, ask: Ask) -> AsyncGenerator[Event, None]:
        """The answer's events, of which the first is there already: errors come before a response starts."""
        events = self.path.answer(ask)
        first = await anext(events)
        return _following(trace, first, events)


async def _following(trace: Trace, first: Event, rest: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    trace.outcome = "disconnected"
    async with contextlib.aclosing(rest):
        yield first
        async for event in rest:
            if isinstance(event, Done):
                trace.outcome = outcome_of(event.reply)
            yield event


def outcome_of(reply: Reply) -> str:
    """The word for metrics and the log."""
    if reply.degraded_reasons:
        return "degraded"
    if reply.from_cache:
        return "cached"
    return "answered" if reply.sources else "no_answer"


class Queries:
    """Our own two routes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def search(self, request: Request) -> Response:
        """Passages, no answer."""
        trace, tenant = trace_of(request), self._desk.tenant_of(request)
        with self._desk.telemetry.stage("validate", trace.timings):
            body = await body_of(request, SearchRequest)
        work = await self._desk.path.search(self._desk.ask(trace, tenant, body.question, body.top_k))
        trace.outcome = "degraded" if work.degraded else "answered" if work.passages else "no_answer"
        return json_response(search_response(work).model_dump_json())

    async def query(self, request: Request) -> Response:
        """An answer, whole or as events."""
        trace, tenant = trace_of(request), self._desk.tenant_of(request)
        with self._desk.telemetry.stage("validate", trace.timings):
            body = await body_of(request, QueryRequest)
        ask = self._desk.ask(trace, tenant, body.question, body.top_k)
        if body.stream:
            return EventStream(self._frames(ask, await self._desk.events(trace, ask)))
        reply = await self._desk.reply(trace, ask)
        return json_response(query_response(ask, reply).model_dump_json())

    async def _frames(self, ask: Ask, events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
        """`sources`, `text` (`restart`: void what came before), `done` with the whole, or `error`."""
        async with contextlib.aclosing(events):
            try:
                async for event in events:
                    match event:
                        case Sources(sources):
                            shown = [source_body(source).model_dump() for source in sources]
                            yield frame({"request_id": ask.request_id, "sources": shown}, "sources")
                        case Text(text, restart):
                            yield frame({"text": text, "restart": True} if restart else {"text": text}, "text")
                        case Done(reply):
                            yield frame(query_response(ask, reply).model_dump_json(), "done")
            except Exception:  # boundary: the stream; the status is sent, only an event can tell
                logger.exception("stream failed", extra=fields(request_id=ask.request_id, tenant=ask.tenant.label))
                yield frame({"error": {"type": "internal", "message": "the answer broke off"}}, "error")


def json_response(body: str) -> Response:
    """A JSON body that is rendered already."""
    return Response(body, media_type="application/json")
