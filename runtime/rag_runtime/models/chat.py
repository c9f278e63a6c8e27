"""Streamed answers over the wire, without the `openai` client: that costs thirteen times this stream (measured)."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Literal

import aiohttp

from rag_runtime.contract.config import Answering, ChatModel
from rag_runtime.models.endpoint import (
    error_fields,
    error_of,
    headers_for,
    rejected,
    unanswered,
    unavailable,
    url_of,
)
from rag_runtime.models.ports import Delta, Passage, Turn, Usage
from rag_runtime.models.prompt import messages_for
from rag_runtime.models.sse import Events
from rag_runtime.models.wire import login_for, open_session

Finish = Literal["stop", "length", "content_filter"]


class _UnsupportedError(Exception):
    """The model does not take a parameter that was sent."""


class ChatAnswerer:
    """An Answerer behind an OpenAI-compatible endpoint.

    `answering.timeout_seconds` bounds the whole answer. Of parameters that newer models refuse (max_tokens,
    temperature) the first refusal is remembered, and they are renamed or left out.
    """

    def __init__(self, answering: Answering, chat: ChatModel) -> None:
        self._answering = answering
        self._chat = chat
        self._timeout = aiohttp.ClientTimeout(total=answering.timeout_seconds)
        self._session: aiohttp.ClientSession | None = None
        self._parameters: dict[str, Any] = {
            "max_tokens": answering.max_output_tokens,
            "temperature": answering.temperature,
        }

    @property
    def model(self) -> str:
        """The model's name at its endpoint."""
        return self._chat.model

    async def stream(
        self, question: str, passages: Sequence[Passage], history: Sequence[Turn] = ()
    ) -> AsyncGenerator[Delta, None]:
        """Deltas of the answer. Usage is None where the endpoint doesn't tell it.

        Raises ModelRejected, ModelUnavailable (also when the stream ends before its finish, or past the deadline).
        """
        messages = messages_for(self._answering, question, passages, history)
        for _ in range(len(self._parameters) + 1):
            try:
                async with aclosing(self._once(messages)) as deltas:
                    async for delta in deltas:
                        yield delta
                return
            except _UnsupportedError:
                continue

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _once(self, messages: list[dict[str, str]]) -> AsyncGenerator[Delta, None]:
        endpoint, model = self._chat.endpoint, self.model
        payload = {"model": model, "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
        payload |= self._parameters
        if self._session is None:
            self._session = open_session(endpoint, self._timeout)
        url, login = url_of(endpoint, "chat/completions"), login_for(endpoint)
        headers = headers_for(endpoint) | login.request
        answer = _Answer()
        try:
            async with self._session.post(url, json=payload, headers=headers, proxy_headers=login.tunnel) as response:
                if response.status != 200:
                    self._refuse(response.status, response.headers, await response.read())
                async for data in response.content.iter_any():
                    for text in answer.feed(data):
                        yield Delta(text)
                    if answer.done:
                        break
        except TimeoutError as error:
            raise unavailable(endpoint, model, f"no complete answer within {self._timeout.total:g} s") from error
        except aiohttp.ClientError as error:
            raise unanswered(endpoint, model, f"the connection failed ({type(error).__name__})", error) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise rejected(endpoint, model, "its answer is no stream of completions; check the base URL") from error
        if answer.failure:
            raise unavailable(endpoint, model, f"it failed in the middle of the answer ({answer.failure})")
        if answer.finish is None:
            raise unavailable(endpoint, model, "the answer ended in the middle")
        yield Delta("", answer.finish, answer.usage)

    def _refuse(self, status: int, headers: Any, body: bytes) -> None:
        """Raises _UnsupportedError after mending the parameters, or the error that the status means."""
        fields = error_fields(body)
        name = str(fields.get("param") or "")
        if status == 400 and name in self._parameters and str(fields.get("code")).startswith("unsupported"):
            value = self._parameters.pop(name)
            if name == "max_tokens":
                self._parameters["max_completion_tokens"] = value
            raise _UnsupportedError(name)
        raise error_of(self._chat.endpoint, self.model, status, headers, body)


class _Answer:
    """What has been read of one answer."""

    def __init__(self) -> None:
        self._events = Events()
        self.done = False
        self.finish: Finish | None = None
        self.usage: Usage | None = None
        self.failure = ""

    def feed(self, data: bytes) -> list[str]:
        """The texts in `data`. Raises ValueError, TypeError, KeyError, AttributeError for what is no completion."""
        return [text for event in self._events.feed(data) if (text := self._event(event))]

    def _event(self, event: bytes) -> str:
        if event == b"[DONE]":
            self.done = True
            return ""
        value = json.loads(event)
        if error := value.get("error"):
            self.failure = str(error.get("code") or error.get("type") or "error")[:100]
            self.done = True
            return ""
        if usage := value.get("usage"):
            self.usage = Usage(int(usage["prompt_tokens"]), int(usage["completion_tokens"]))
        choices = value.get("choices") or []
        if not choices:
            return ""
        if reason := choices[0].get("finish_reason"):
            self.finish = reason if reason in {"stop", "length", "content_filter"} else "stop"
        text = (choices[0].get("delta") or {}).get("content")
        return text if isinstance(text, str) else ""
