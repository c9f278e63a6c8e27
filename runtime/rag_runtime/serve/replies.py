"""Replies of the query path as the HTTP API's bodies."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from rag_runtime.answer.work import Ask, Reply, Source, Work
from rag_runtime.serve.schemas import (
    ChatChoice,
    ChatResponse,
    ChatUsage,
    Facts,
    QueryResponse,
    ReplyMessage,
    SearchResponse,
    SourceBody,
)

NO_MODEL = "none"
"""`model` where OpenAI's shape demands a string and no model was asked."""


def source_body(source: Source) -> SourceBody:
    """A cited passage."""
    return SourceBody(**dataclasses.asdict(source))


def facts(ask: Ask, reply: Reply) -> dict[str, Any]:
    """What an answer says of itself."""
    return Facts(
        request_id=ask.request_id,
        tenant=ask.tenant.label,
        revision=reply.revision,
        version=reply.version,
        retrieval_count=reply.retrieval_count,
        degraded=bool(reply.degraded_reasons),
        degraded_reasons=list(reply.degraded_reasons),
        latency_ms=latency(ask),
        timings=ask.timings,
    ).model_dump()


def query_response(ask: Ask, reply: Reply) -> QueryResponse:
    """The body of `POST /v1/query`."""
    return QueryResponse(
        answer=reply.answer,
        sources=[source_body(source) for source in reply.sources],
        from_cache=reply.from_cache,
        model=reply.model,
        **facts(ask, reply),
    )


def search_response(work: Work) -> SearchResponse:
    """The body of `POST /v1/search`."""
    ask, pointer = work.ask, work.tenant.pointer
    return SearchResponse(
        request_id=ask.request_id,
        tenant=ask.tenant.label,
        revision=pointer.active or 0,
        version=pointer.version,
        retrieval_count=len(work.passages),
        degraded=bool(work.degraded),
        degraded_reasons=list(work.degraded),
        latency_ms=latency(ask),
        timings=ask.timings,
        sources=[source_body(Source.of(n, found)) for n, found in enumerate(work.passages, start=1)],
    )


def chat_response(ask: Ask, reply: Reply) -> ChatResponse:
    """The body of `POST /v1/chat/completions`."""
    message = ReplyMessage(content=reply.answer)
    return ChatResponse(
        id=f"chatcmpl-{ask.request_id}",
        created=int(time.time()),
        model=reply.model or NO_MODEL,
        choices=[ChatChoice(message=message, finish_reason=reply.finish)],
        usage=chat_usage(reply),
        sources=[source_body(source) for source in reply.sources],
        rag=chat_facts(ask, reply),
    )


def chat_usage(reply: Reply) -> ChatUsage:
    """Tokens of an answer; a cached one took none."""
    prompt, completion = (0, 0) if reply.from_cache else (reply.usage.prompt_tokens, reply.usage.completion_tokens)
    return ChatUsage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


def chat_facts(ask: Ask, reply: Reply) -> dict[str, Any]:
    """What OpenAI's shape has no place for."""
    return facts(ask, reply) | {"from_cache": reply.from_cache}


def latency(ask: Ask) -> float:
    """Milliseconds since the request came."""
    return round((time.perf_counter() - ask.started) * 1000, 2)
