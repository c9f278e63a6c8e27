"""An OpenAI-compatible server in this process: real HTTP on a loopback port, and every way an endpoint can fail.

    async with openai_server() as server:
        server.fail(429, times=2, retry_after=0.1)
        client = openai.AsyncOpenAI(base_url=server.base_url, api_key="any")

Embeddings are hashed bags of words: texts that share words are similar, the same text always gets the same vector. The
chat model answers with the first sentence of passage 1 and its citation, or what `server.answer` holds.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import socket
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

_WORD = re.compile(r"\w+")
_PASSAGE = re.compile(r"^\[1\][^\n]*\n(.+?)(?:\n|$)", re.MULTILINE)


@dataclass
class Behaviour:
    """What the server does; may be changed while it runs."""

    dimensions: int = 384
    """Of the vectors, unless a request asks for others and `shortens` is set."""
    shortens: bool = False
    """Whether the `dimensions` parameter is understood; otherwise it is refused with 400."""
    delay: float = 0.0
    """Seconds before every answer."""
    hold: asyncio.Event | None = None
    """What every answer waits for besides."""
    answer: str | None = None
    api_key: str | None = None
    """When set, any other key is refused with 401."""
    cut_after: int | None = None
    """Events after which a stream's connection is cut."""
    end_after: int | None = None
    """Events after which a stream ends as if it were complete, without a finish reason."""
    delta_delay: float = 0.0
    """Seconds between the deltas of a stream."""
    tells_usage: bool = True
    unsupported: frozenset[str] = frozenset()
    """Parameters that a chat request is refused for."""
    drop_embeddings: int = 0
    """How many embeddings are missing in each answer."""


@dataclass
class _Failure:
    status: int
    times: int
    retry_after: float | None
    code: str


@dataclass
class OpenAIServer:
    """A running server: its address, its behaviour, and what it was asked."""

    port: int = 0
    scheme: str = "http"
    behaviour: Behaviour = field(default_factory=Behaviour)
    requests: Counter[str] = field(default_factory=Counter)
    """By path below /v1, such as "embeddings"; failed ones count."""
    payloads: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    proxy_logins: list[str] = field(default_factory=list)
    """Logins for a proxy that came as far as here."""
    running: int = 0
    most_at_once: int = 0
    _failures: list[_Failure] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        """What a client takes as base URL."""
        return self.url_as("127.0.0.1")

    def url_as(self, host: str) -> str:
        """The base URL under another name."""
        return f"{self.scheme}://{host}:{self.port}/v1"

    def fail(self, status: int, times: int = 1, retry_after: float | None = None, code: str = "") -> None:
        """Answer the next `times` requests with this status."""
        self._failures.append(_Failure(status, times, retry_after, code))

    async def embeddings(self, request: Request) -> Response:
        """POST /v1/embeddings."""
        async with self._served("embeddings", request) as (payload, refusal):
            if refusal is not None:
                return refusal
            asked = payload.get("dimensions")
            if asked and not self.behaviour.shortens:
                return _error(400, "unsupported_parameter", "dimensions")
            dimensions = asked or self.behaviour.dimensions
            texts = payload["input"] if isinstance(payload["input"], list) else [payload["input"]]
            encode = _base64 if payload.get("encoding_format") == "base64" else list
            data = [
                {"object": "embedding", "index": i, "embedding": encode(embed(text, dimensions))}
                for i, text in enumerate(texts)
            ]
            tokens = sum(len(text.split()) for text in texts)
            usage = {"prompt_tokens": tokens, "total_tokens": tokens}
            kept = data[: len(data) - self.behaviour.drop_embeddings]
            return JSONResponse({"object": "list", "data": kept[::-1], "model": payload["model"], "usage": usage})

    async def completions(self, request: Request) -> Response:
        """POST /v1/chat/completions, plain and streamed."""
        async with self._served("chat/completions", request) as (payload, refusal):
            if refusal is not None:
                return refusal
            if refused := sorted(self.behaviour.unsupported & payload.keys()):
                return _error(400, "unsupported_parameter", refused[0])
            words = re.findall(r"\S+\s*", self._answer(payload))
            usage = {"prompt_tokens": _tokens(payload), "completion_tokens": len(words)}
            usage["total_tokens"] = sum(usage.values())
            head = {"id": "chatcmpl-1", "created": 1, "model": payload["model"]}
            if payload.get("stream"):
                events = self._events(head, words, usage)
                return StreamingResponse(events, media_type="text/event-stream")
            message = {"role": "assistant", "content": "".join(words)}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            return JSONResponse(head | {"object": "chat.completion", "choices": choices, "usage": usage})

    async def _events(self, head: dict[str, Any], words: list[str], usage: dict[str, int]) -> AsyncIterator[bytes]:
        head = head | {"object": "chat.completion.chunk"}
        for sent, word in enumerate(words):
            if sent == self.behaviour.cut_after:
                raise ConnectionAbortedError("cut")  # uvicorn closes the connection without the final chunk
            if sent == self.behaviour.end_after:
                return
            await asyncio.sleep(self.behaviour.delta_delay)
            yield _event(head | {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
        yield _event(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if self.behaviour.tells_usage:
            yield _event(head | {"choices": [], "usage": usage})
        yield b"data: [DONE]\n\n"

    def _answer(self, payload: dict[str, Any]) -> str:
        if self.behaviour.answer is not None:
            return self.behaviour.answer
        question = str(payload["messages"][-1]["content"])
        passage = _PASSAGE.search(question)
        return f"{passage.group(1).partition('. ')[0].rstrip('.')} [1]." if passage else f"You asked: {question}"

    @contextlib.asynccontextmanager
    async def _served(
        self, path: str, request: Request
    ) -> AsyncGenerator[tuple[dict[str, Any], Response | None], None]:
        """Count a request, wait as told, and give its payload and the refusal that it is to get."""
        self.requests[path] += 1
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            payload: dict[str, Any] = await request.json()
            self.payloads.append(payload)
            key = request.headers.get("authorization", "").removeprefix("Bearer ")
            self.keys.append(key)
            self.proxy_logins += request.headers.getlist("proxy-authorization")
            await asyncio.sleep(self.behaviour.delay)
            if self.behaviour.hold is not None:
                await self.behaviour.hold.wait()
            yield payload, self._refusal(key)
        finally:
            self.running -= 1

    def _refusal(self, key: str) -> Response | None:
        if self.behaviour.api_key not in (None, key):
            return _error(401, "invalid_api_key")
        if not self._failures:
            return None
        failure = self._failures[0]
        failure.times -= 1
        if failure.times == 0:
            self._failures.pop(0)
        headers = {} if failure.retry_after is None else {"retry-after": str(failure.retry_after)}
        return _error(failure.status, failure.code, headers=headers)


@contextlib.asynccontextmanager
async def openai_server(
    behaviour: Behaviour | None = None, tls: tuple[Path, Path] | None = None
) -> AsyncGenerator[OpenAIServer, None]:
    """Run a server within this event loop; leaving the block takes it down, and its port then refuses connections.

    `tls`: files of its certificate and private key.
    """
    server = OpenAIServer(behaviour=behaviour or Behaviour(), scheme="https" if tls else "http")
    routes = [
        Route("/v1/embeddings", server.embeddings, methods=["POST"]),
        Route("/v1/chat/completions", server.completions, methods=["POST"]),
    ]
    listener = socket.create_server(("127.0.0.1", 0))
    server.port = listener.getsockname()[1]
    config = uvicorn.Config(
        Starlette(routes=routes), log_config=None, log_level="critical", lifespan="off", ws="none", loop="asyncio"
    )
    config.timeout_graceful_shutdown = 1
    if tls:
        config.ssl_certfile, config.ssl_keyfile = map(str, tls)
    process = _Server(config)
    task = asyncio.create_task(process.serve(sockets=[listener]))
    try:
        yield server  # it listens already: what connects before the task runs waits in the backlog
    finally:
        process.should_exit = True
        await task
        listener.close()


class _Server(uvicorn.Server):
    """Without signal handlers: those belong to the test's process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def embed(text: str, dimensions: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """The vector of a text: each word adds 1 or -1 at a place that its hash names; of length 1."""
    vector = np.zeros(dimensions, np.float32)
    vector[0] = 1e-3  # a text without words has a direction too
    for word in _WORD.findall(text.lower()):
        digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
        vector[int.from_bytes(digest[:6], "big") % dimensions] += 1 if digest[7] % 2 else -1
    return vector / np.linalg.norm(vector)


def _base64(vector: np.ndarray[tuple[int], np.dtype[np.float32]]) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _event(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def _error(status: int, code: str, param: str | None = None, headers: dict[str, str] | None = None) -> Response:
    error = {"message": f"failure {status}", "type": "error", "code": code or None, "param": param}
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def _tokens(payload: dict[str, Any]) -> int:
    return sum(len(str(message["content"]).split()) for message in payload["messages"])
