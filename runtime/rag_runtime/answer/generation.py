"""Text of an answer: the chat model, or when it fails the extracts of the passages."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from rag_runtime.answer.telemetry import Telemetry
from rag_runtime.breaker import Breaker
from rag_runtime.logs import fields
from rag_runtime.models.errors import RuntimeFault, TransientError
from rag_runtime.models.ports import Answerer, Delta, Passage, Turn

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What an answerer is given."""

    question: str
    passages: Sequence[Passage]
    history: Sequence[Turn]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer and who makes it. `fallback`: extracts, as the model failed; what came before is void."""

    delta: Delta
    model: str
    fallback: bool = False


class Generation:
    """The chosen answerer with a deadline and a breaker, and extracts behind it."""

    def __init__(self, model: Answerer | None, extracts: Answerer, telemetry: Telemetry, seconds: float) -> None:
        self._model = model
        self._extracts = extracts
        self._seconds = seconds
        self._telemetry = telemetry
        self._breaker = Breaker("generation", failures=3, pause=5.0)
        if model is not None:
            telemetry.watch(self._breaker)

    @property
    def name(self) -> str:
        """Name of the answering model."""
        return (self._model or self._extracts).model

    async def pieces(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """The answer; its last delta has `finish`. Close the generator to stop the model."""
        if self._model is not None:
            try:
                async with contextlib.aclosing(self._timed(self._model, prompt)) as deltas:
                    async for delta in deltas:
                        yield Piece(delta, self._model.model)
                return
            except RuntimeFault as error:
                self._telemetry.failure("answer")
                logger.warning("model failed, answering with extracts", extra=fields(error=str(error)))
        async with contextlib.aclosing(self._stream(self._extracts, prompt)) as deltas:
            first = self._model is not None
            async for delta in deltas:
                yield Piece(delta, self._extracts.model, fallback=first)
                first = False

    async def _timed(self, model: Answerer, prompt: Prompt) -> AsyncGenerator[Delta, None]:
        """The model's deltas within the deadline. Raises RuntimeFault."""
        if not self._breaker.admits():
            raise TransientError("the model did not answer lately")
        until = asyncio.get_running_loop().time() + self._seconds
        try:
            async with contextlib.aclosing(self._stream(model, prompt)) as deltas:
                while True:
                    async with asyncio.timeout_at(until):
                        delta = await anext(deltas, None)
                    if delta is None:
                        break
                    yield delta
        except TimeoutError:
            self._breaker.failed()
            raise TransientError("the model missed the deadline") from None
        except RuntimeFault:
            self._breaker.failed()
            raise
        self._breaker.succeeded()

    @staticmethod
    def _stream(answerer: Answerer, prompt: Prompt) -> AsyncGenerator[Delta, None]:
        return answerer.stream(prompt.question, prompt.passages, prompt.history)

    async def close(self) -> None:
        """Release the models."""
        if self._model is not None:
            await self._model.close()
        await self._extracts.close()
