"""The query path: a list of stages, then the answer as events. What each stage falls back to stands beside it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from rag_runtime.answer.embedding import QuestionVectors
from rag_runtime.answer.errors import NoIndexError, UnauthenticatedError, UnavailableError
from rag_runtime.answer.generation import Generation, Piece, Prompt
from rag_runtime.answer.telemetry import Telemetry
from rag_runtime.answer.work import Ask, Done, Event, Reply, Source, Sources, Text, Work
from rag_runtime.caches.answers import AnswerCache
from rag_runtime.caches.versions import announce_version
from rag_runtime.contract.config import RetrievalMode, ServeConfig
from rag_runtime.logs import fields
from rag_runtime.models.errors import RuntimeFault
from rag_runtime.models.ports import Passage, Usage
from rag_runtime.retrieve.errors import RetrievalError, RevisionMissingError
from rag_runtime.retrieve.search import Found, Question, Searcher
from rag_runtime.retrieve.tenants import Target, Tenant, target_of

logger = logging.getLogger(__name__)


class Pins(Protocol):
    """The catalog as the path needs it."""

    def pin(self) -> contextlib.AbstractContextManager[None]:
        """Hold back retirement of what is seen now."""
        ...

    def get(self, tenant_id: UUID) -> Tenant | None:
        """The tenant as last read."""
        ...

    async def refresh(self, tenant_ids: list[UUID]) -> None:
        """Read the tenants again. Raises RetrievalError."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """One step. It has a metric by `name`; its deadline and fallback are inside `run`."""

    name: str
    run: Callable[[Work], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the path is made of. `may_pin`: whether the reader lease still holds."""

    config: ServeConfig
    pins: Pins
    may_pin: Callable[[], bool]
    searcher: Searcher
    vectors: QuestionVectors
    generation: Generation
    answers: AnswerCache | None
    telemetry: Telemetry


class Path:
    """From one request to its events."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._stores: set[asyncio.Task[None]] = set()
        finding = [Stage("pin", self._pin), Stage("embed", self._embed), Stage("retrieve", self._retrieve)]
        self._stages = [Stage("exact_cache", self._look_up), *finding]
        self._search_stages = finding

    async def search(self, ask: Ask) -> Work:
        """Retrieval alone. Raises RequestError."""
        work = Work(ask, ask.tenant)
        with self._parts.pins.pin():
            await self._run(self._search_stages, work)
        return work

    async def answer(self, ask: Ask) -> AsyncGenerator[Event, None]:
        """Sources, text, and the whole at the end. Raises RequestError, always before the first event."""
        work = Work(ask, ask.tenant)
        with self._parts.pins.pin():
            await self._run(self._stages, work)
            async with contextlib.aclosing(self._events(work)) as events:
                async for event in events:
                    yield event

    async def close(self) -> None:
        """Wait for answers that are being stored."""
        if self._stores:
            await asyncio.wait(self._stores, timeout=1)

    async def _run(self, stages: list[Stage], work: Work) -> None:
        for stage in stages:
            with self._parts.telemetry.stage(stage.name, work.ask.timings):
                await stage.run(work)
            if work.cached is not None:
                return

    async def _look_up(self, work: Work) -> None:
        """Exact cache; without Redis the path goes on. A newer version elsewhere means: read the pointer first."""
        cache = self._parts.answers
        if cache is None:
            return
        lookup = await cache.get(work.key)
        if lookup.newer:
            try:
                await self._refresh(work)
            except RetrievalError:
                return
            lookup = await cache.get(work.key)
            if lookup.newer:
                # The database itself went back (a restore): what it says is the truth.
                await announce_version(cache.redis, work.tenant.id, work.tenant.pointer.version, force=True)
        if lookup.value is not None:
            with contextlib.suppress(KeyError, TypeError):
                work.cached = Reply.of_kept(lookup.value)
        result = "skipped" if not lookup.answered else "hit" if work.cached else "miss"
        self._parts.telemetry.lookup("answer", result)

    async def _pin(self, work: Work) -> None:
        """Without a lease nothing stops the operator from dropping what this request would read."""
        if not self._parts.may_pin():
            raise UnavailableError("the database can't be reached, and this question has no cached answer")
        self._target(work)

    async def _embed(self, work: Work) -> None:
        """The question's vector; without one the words alone answer, degraded."""
        if self._parts.config.retrieval.mode is RetrievalMode.LEXICAL:
            return
        profile = self._target(work).shape.profile.identity
        try:
            work.vector = await self._parts.vectors.vector(profile, work.ask.question)
        except RuntimeFault as error:
            self._parts.telemetry.failure("embed")
            logger.warning("no question vector, searching by words", extra=fields(error=str(error)))
            work.vector = None
            work.degrade("embedding")

    async def _retrieve(self, work: Work) -> None:
        """Passages; a missing relation means that the pointer moved on: read it, embed for it, try once more."""
        try:
            try:
                work.passages = await self._search(work)
            except RevisionMissingError:
                await self._refresh(work)
                await self._embed(work)
                work.passages = await self._search(work)
        except RetrievalError as error:
            self._parts.telemetry.failure("retrieve")
            logger.warning("retrieval failed", extra=fields(tenant=work.tenant.label, error=str(error)))
            raise UnavailableError("the database can't be reached, and this question has no cached answer") from error
        best = work.passages[0].score if work.passages else None
        self._parts.telemetry.retrieved(work.tenant.label, best)

    async def _search(self, work: Work) -> list[Found]:
        question = Question(work.ask.question, work.vector, work.ask.top_k)
        return await self._parts.searcher.search(self._target(work), question)

    async def _refresh(self, work: Work) -> None:
        """Take the tenant's pointer as it is now. Raises UnauthenticatedError when the tenant answers no more."""
        await self._parts.pins.refresh([work.tenant.id])
        tenant = self._parts.pins.get(work.tenant.id)
        if tenant is None:
            raise UnauthenticatedError("the API key belongs to no tenant of this pipeline")
        work.tenant = tenant

    @staticmethod
    def _target(work: Work) -> Target:
        target = target_of(work.tenant, work.ask.acl)
        if target is None:
            raise NoIndexError(f"tenant {work.tenant.label} has no index yet: its first ingestion has not ended")
        return target

    async def _events(self, work: Work) -> AsyncGenerator[Event, None]:
        """The reply as events, from the cache or made now."""
        if work.cached is not None:
            yield Sources(work.cached.sources)
            yield Text(work.cached.answer)
            yield Done(work.cached)
            return
        sources = tuple(Source.of(n, found) for n, found in enumerate(work.passages, start=1))
        yield Sources(sources)
        if not sources:
            yield Text(self._parts.config.answering.no_answer)
            reply = self._reply(work, sources, _Written([self._parts.config.answering.no_answer]))
        else:
            written = _Written()
            async with contextlib.aclosing(self._written(work, written)) as texts:
                async for text in texts:
                    yield text
            reply = self._reply(work, sources, written)
        self._keep(work, reply)
        yield Done(reply)

    async def _written(self, work: Work, written: _Written) -> AsyncGenerator[Text, None]:
        """The model's text as it comes, noted in `written`."""
        passages = [Passage(found.text, found.title, found.heading, found.uri) for found in work.passages]
        prompt = Prompt(work.ask.question, passages, work.ask.history)
        telemetry = self._parts.telemetry
        with telemetry.stage("answer", work.ask.timings):
            async with contextlib.aclosing(self._parts.generation.pieces(prompt)) as pieces:
                async for piece in pieces:
                    if piece.fallback:
                        work.degrade("generation")
                    restart = written.take(piece)
                    if piece.delta.text:
                        if not work.ask.timings.get("first_text"):
                            took = time.perf_counter() - work.ask.started
                            work.ask.timings["first_text"] = round(took * 1000, 2)
                            telemetry.first_text(took)
                        yield Text(piece.delta.text, restart)
        telemetry.tokens(written.model or "", written.usage.prompt_tokens, written.usage.completion_tokens)

    @staticmethod
    def _reply(work: Work, sources: tuple[Source, ...], written: _Written) -> Reply:
        pointer = work.tenant.pointer
        return Reply(
            answer="".join(written.parts),
            sources=sources,
            model=written.model,
            retrieval_count=len(work.passages),
            revision=pointer.active or 0,
            version=pointer.version,
            usage=written.usage,
            finish=written.finish,
            degraded_reasons=tuple(work.degraded),
        )

    def _keep(self, work: Work, reply: Reply) -> None:
        """Store the answer off the request's path; never a degraded one, nor one of a tenant that went meanwhile: its
        keys may have been deleted already."""
        if self._parts.answers is None or reply.degraded_reasons or self._parts.pins.get(work.tenant.id) is None:
            return
        expires = work.expires_at
        seconds = None if expires is None else (expires - datetime.now(UTC)).total_seconds()
        task = asyncio.create_task(self._parts.answers.put(work.key, reply.kept(), seconds))
        self._stores.add(task)
        task.add_done_callback(self._stores.discard)


@dataclass(slots=True)
class _Written:
    """An answer as far as it was written."""

    parts: list[str] = field(default_factory=list)
    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    finish: str = "stop"

    def take(self, piece: Piece) -> bool:
        """Note a piece; True when it makes void what a caller has seen."""
        restart = piece.fallback and any(self.parts)
        if piece.fallback:
            self.parts.clear()
        self.parts.append(piece.delta.text)
        self.model = piece.model
        self.usage = piece.delta.usage or self.usage
        self.finish = piece.delta.finish or self.finish
        return restart
