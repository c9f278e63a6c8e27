"""One run: sync, then index of the wanted and the serving revision, and its report."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from rag_runtime.contract.config import IngestConfig
from rag_runtime.ingest import revisions
from rag_runtime.ingest.embedders import Embedders, Opener
from rag_runtime.ingest.embedding import PatientEmbedder
from rag_runtime.ingest.errors import (
    ConfigurationError,
    LoginRefusedError,
    StoreUnavailableError,
    Superseded,
    TenantClosed,
)
from rag_runtime.ingest.index import Indexer, Tools
from rag_runtime.ingest.leases import Holder, LeaseKey
from rag_runtime.ingest.parse import Sandbox
from rag_runtime.ingest.report import Counts, ProgressLine, Reporter, now
from rag_runtime.ingest.revisions import Revision, Shard
from rag_runtime.ingest.store import Session, Store
from rag_runtime.ingest.sync import Sync
from rag_runtime.logs import context, fields
from rag_runtime.models.errors import RuntimeFault
from rag_runtime.models.factory import document_embedder
from rag_runtime.models.ports import DocumentEmbedder
from rag_runtime.models.tokenizer import builtin_tokenizer

log = logging.getLogger(__name__)
T = TypeVar("T")

FINE = 0
"""Done, also with dead letters, and also when another run is at it."""
FAILED = 1
"""Something that may pass, or that a person must mend; running again continues where this ended."""
MISCONFIGURED = 2
"""The document can't be used: running it again would end the same way."""
PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds between tries while the database is away: about a minute, then the Job's own back-off takes over."""
LOGIN_PAUSES = (5.0,) * 24
"""The same while the login is refused: a kubelet takes up to two minutes to bring a rotated password."""


@dataclass(slots=True)
class Run:
    """One run of one tenant. `holder` is a name unique to this process."""

    config: IngestConfig
    holder: str
    shard: Shard = field(default_factory=Shard)
    counts: Counts = field(default_factory=Counts)
    opener: Opener = document_embedder
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> int:
        """Do it; the exit code. Cancelling ends it within the batch."""
        with context(pipeline=self.config.pipeline, tenant=self.config.tenant, run=self.holder):
            return await self._run()

    async def _run(self) -> int:
        started = now()
        store = Store(self.config.database, self.config.tenant_schema, self.config.tenant_id)
        line = ProgressLine()
        pauses: Sequence[float] = LOGIN_PAUSES
        try:
            code = await self._steps(store, line)
        except (Superseded, TenantClosed) as error:
            log.info("ended early, nothing failed: %s", error)
            return FINE
        except RuntimeFault as error:
            log.error("the run failed: %s", error)
            self.counts.problems.append(str(error))
            code = MISCONFIGURED if isinstance(error, ConfigurationError) else FAILED
            pauses = () if isinstance(error, LoginRefusedError) else pauses
        except asyncio.CancelledError:
            log.warning("stopped by a signal; the next run continues from here")
            self.counts.problems.append("stopped by a signal; the next run continues from there")
            code, pauses = FAILED, ()
        finally:
            line.end()
        log.info("the run is over", extra=fields(code=code, **self.counts.numbers()))
        with contextlib.suppress(asyncio.CancelledError):  # told to end: with this code then
            await self._report(store, started, pauses)
        return code

    async def _report(self, store: Store, started: datetime, pauses: Sequence[float]) -> None:
        """Tell how it ended; `pauses` are those between tries while the login is refused."""
        for pause in (*pauses, None):
            try:
                async with asyncio.timeout(10), store.session() as session:
                    return await Reporter(session).finished(self.counts, started, self.config.digest())
            except (RuntimeFault, TimeoutError) as error:
                log.warning("the run's end could not be reported: %s", error)
                if pause is None or not isinstance(error, LoginRefusedError):
                    return None
                await self.sleep(pause)
        return None

    async def _steps(self, store: Store, line: ProgressLine) -> int:
        embedders = Embedders(self.config, self.opener)
        embedders.get(self.config.shape.profile)  # a wrong profile ends the run before anything is read
        try:
            await self._persist(lambda: self._sync(store, line))
            await self._persist(lambda: self._index(store, line, embedders))
        finally:
            await embedders.close()
        return FINE if self.counts.succeeded else FAILED

    async def _persist(self, step: Callable[[], Awaitable[None]]) -> None:
        """Do a step again while the database is away: every step continues where its last commit ended."""
        away, refused = iter(PAUSES), iter(LOGIN_PAUSES)
        while True:
            try:
                return await step()
            except StoreUnavailableError as error:
                pause = next(refused if isinstance(error, LoginRefusedError) else away, None)
                if pause is None:
                    raise
                log.warning("trying again in %.0f s: %s", pause, error)
                await self.sleep(pause)

    async def _sync(self, store: Store, line: ProgressLine) -> None:
        counts, holder = self.counts, Holder(self.holder, self.config.lease_seconds)
        counts.begin_sync()

        def show() -> None:
            line.show(f"sync: {counts.added} added, {counts.updated} updated, {counts.unchanged} unchanged")

        async with store.session() as session, Sandbox() as sandbox:
            lease = await holder.take(session, LeaseKey("Sync"))
            if lease is None:
                log.info("another run syncs this tenant; leaving that to it")
                return
            sync = Sync(self.config, session, lease.epoch, sandbox, counts, show)
            await holder.hold(store, lease, sync.run())
            counts.synced = True
        log.info("sync is done", extra=fields(**counts.numbers()))

    async def _index(self, store: Store, line: ProgressLine, embedders: Embedders) -> None:
        """The wanted revision and the serving one, side by side, each under its own lease."""
        async with store.session() as session:
            wanted = await revisions.create(session, self.config.shape)
            serving = await revisions.active(session)
            others = [serving] if serving is not None and serving.number != wanted.number else []
            holder = Holder(self.holder, self.config.lease_seconds)
            tokenizer = await asyncio.to_thread(builtin_tokenizer)
            tools = Tools(store, holder, tokenizer, self.counts, line, self.shard)
            steps = [self._index_one(tools, embedders, revision) for revision in (*others, wanted)]
            outcomes = await asyncio.gather(*steps, return_exceptions=True)
            await self._collect(session, [one for one in outcomes if isinstance(one, BaseException)])

    async def _collect(self, session: Session, errors: list[BaseException]) -> None:
        """Clear tombstones that every revision has passed; then raise what ended an index."""
        errors = [error for error in errors if not isinstance(error, Superseded)]
        if not errors and await session.value(revisions.TOMBSTONES):
            await session.rows(revisions.COLLECT)
        for error in errors:
            raise error

    async def _index_one(self, tools: Tools, embedders: Embedders, revision: Revision) -> None:
        stored = revision.shape.profile
        profile = embedders.profile(stored)
        if profile is None:
            note = (
                f"revision {revision.number} serves, but is not kept fresh: the configuration has no endpoint for its "
                f"embedding model {stored.model}; put the profile back until the next revision is promoted"
            )
            log.warning("%s", note)
            self.counts.notes.append(note)
            return
        with context(revision=revision.number):
            try:
                await self._advance(tools, embedders.get(profile), revision)
            except Superseded as error:
                log.info("index ended early, nothing failed: %s", error)
                raise

    async def _advance(self, tools: Tools, embedder: DocumentEmbedder, revision: Revision) -> None:
        def count(texts: int) -> None:
            self.counts.embedded += texts

        patient = PatientEmbedder(embedder, revision.shape.quantization, count)
        async with tools.store.session() as session:
            await Indexer(tools, session, Reporter(session), revision, patient).run()
