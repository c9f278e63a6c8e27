"""`POST /v1/chat/completions` and `GET /v1/models`, as the `openai` client knows them; sources in fields of ours."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rag_runtime.answer.errors import InvalidFieldError
from rag_runtime.answer.work import Ask, Done, Event, Reply, Text
from rag_runtime.logs import fields
from rag_runtime.models.ports import Turn
from rag_runtime.serve.edge import body_of, trace_of
from rag_runtime.serve.queries import Desk, json_response
from rag_runtime.serve.replies import NO_MODEL, chat_facts, chat_response, chat_usage, source_body
from rag_runtime.serve.schemas import MAX_QUESTION, ChatRequest, Model, ModelList
from rag_runtime.serve.sse import EventStream, frame

logger = logging.getLogger(__name__)

RESTART = "\n\n(The answer broke off. Extracts of the passages:)\n\n"
"""OpenAI's stream has no way to take text back."""


class Chat:
    """The two compatible routes. `model`: the name that streamed chunks and the list show."""

    def __init__(self, desk: Desk, model: str) -> None:
        self._desk = desk
        self._model = model

    async def completions(self, request: Request) -> Response:
        """An answer to the last user message; earlier ones are the conversation."""
        trace, tenant = trace_of(request), self._desk.tenant_of(request)
        with self._desk.telemetry.stage("validate", trace.timings):
            body = await body_of(request, ChatRequest)
            question, history = conversation(body)
        ask = self._desk.ask(trace, tenant, question, None, history)
        if body.stream:
            usage = body.stream_options is not None and body.stream_options.include_usage
            return EventStream(self._frames(ask, await self._desk.events(trace, ask), usage))
        reply = await self._desk.reply(trace, ask)
        return json_response(chat_response(ask, reply).model_dump_json())

    async def models(self, request: Request) -> Response:
        """The one model that answers here."""
        trace = trace_of(request)
        self._desk.tenant_of(request)
        trace.outcome = "answered"
        return json_response(ModelList(data=[Model(id=self._model)]).model_dump_json())

    async def _frames(
        self, ask: Ask, events: AsyncGenerator[Event, None], include_usage: bool
    ) -> AsyncGenerator[bytes, None]:
        """Chunks: the role, the text, the end with our fields, the usage where asked for, and [DONE]."""
        head = {
            "id": f"chatcmpl-{ask.request_id}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": self._model,
        }
        async with contextlib.aclosing(events):
            try:
                yield frame(head | _choice({"role": "assistant", "content": ""}))
                async for event in events:
                    match event:
                        case Text(text, restart):
                            yield frame(head | _choice({"content": RESTART + text if restart else text}))
                        case Done(reply):
                            yield frame(head | self._end(ask, reply))
                            if include_usage:
                                yield frame(head | {"choices": [], "usage": chat_usage(reply).model_dump()})
                yield frame("[DONE]")
            except Exception:  # boundary: the stream; the status is sent, only an event can tell
                logger.exception("stream failed", extra=fields(request_id=ask.request_id, tenant=ask.tenant.label))
                yield frame({"error": {"type": "internal", "message": "the answer broke off"}})

    @staticmethod
    def _end(ask: Ask, reply: Reply) -> dict[str, Any]:
        return _choice({}, reply.finish) | {
            "model": reply.model or NO_MODEL,
            "sources": [source_body(source).model_dump() for source in reply.sources],
            "rag": chat_facts(ask, reply),
        }


def conversation(body: ChatRequest) -> tuple[str, tuple[Turn, ...]]:
    """The question (the last message, a user's) and the turns before it. Raises InvalidFieldError."""
    *earlier, last = body.messages
    question = last.plain().strip()
    if last.role != "user" or not question:
        raise InvalidFieldError("messages: the last message must be a user's and not empty", "messages")
    if len(question) > MAX_QUESTION:
        raise InvalidFieldError(f"messages: the last message may have at most {MAX_QUESTION} characters", "messages")
    turns = [
        Turn("user" if message.role == "user" else "assistant", message.plain())
        for message in earlier
        if message.role in ("user", "assistant")
    ]
    return question, tuple(turns)


def _choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
