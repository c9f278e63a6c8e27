"""Sync: from sources to document rows. Unchanged documents are neither fetched nor parsed, vanished ones tombstoned."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from rag_runtime.contract.config import HttpSource, IngestConfig, SourceConfig
from rag_runtime.ingest import documents
from rag_runtime.ingest.documents import Changed, Facts, Failure
from rag_runtime.ingest.errors import StoreRefusedError
from rag_runtime.ingest.fetching import Budget, Candidate, Fetcher, Outcome, StillFailing, Unchanged
from rag_runtime.ingest.parse import Sandbox
from rag_runtime.ingest.report import Counts
from rag_runtime.ingest.sources import Item, SourceUnavailable, open_source
from rag_runtime.ingest.store import Session
from rag_runtime.logs import fields

log = logging.getLogger(__name__)

WINDOW = 500
"""Listed items that are compared with the database at once."""
BATCH_DOCUMENTS = 200
BATCH_BYTES = 8 * 2**20
"""Of parsed text, held until it is written."""
FETCH_BYTES = 64 * 2**20
"""Of fetched bytes that wait for the parser."""
FETCHES = 4
CHANGES = 1000
"""Documents that one transaction restates or tombstones."""


@dataclass(slots=True)
class Batch:
    """What one transaction will write."""

    changed: list[Changed] = field(default_factory=list)
    refreshed: list[Unchanged] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    still: list[StillFailing] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    size: int = 0

    def full(self) -> bool:
        """Whether it should be written now."""
        return len(self.changed) + len(self.failures) >= BATCH_DOCUMENTS or self.size >= BATCH_BYTES

    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.changed or self.refreshed or self.failures or self.still or self.settled)


@dataclass(slots=True)
class _Pass:
    """One pass over a source: what it has seen, and what is yet to be written of it."""

    fetcher: Fetcher
    facts: Facts
    batch: Batch = field(default_factory=Batch)
    ids: set[int] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)

    @property
    def source(self) -> str:
        """The source's name."""
        return self.fetcher.source.name


@dataclass(slots=True)
class Sync:
    """One sync of a tenant under the fence of its lease. `counts` grows as batches are committed."""

    config: IngestConfig
    session: Session
    fence: int
    sandbox: Sandbox
    counts: Counts
    progress: Callable[[], None]

    async def run(self) -> None:
        """All sources, one after the other; one that is unavailable is noted in `counts` and loses nothing."""
        await self._forget_removed_sources()
        for source in self.config.sources:
            try:
                await self._sync_source(source)
            except SourceUnavailable as error:
                self.counts.unavailable[source.name] = str(error)
                log.warning("a source is unavailable: %s", error, extra=fields(source=source.name))
        names = [source.name for source in self.config.sources]
        await self.session.rows(documents.STRAY_LETTERS, [self.session.tenant_id, names])

    async def _forget_removed_sources(self) -> None:
        names = [source.name for source in self.config.sources]
        while ids := [row[0] for row in await self.session.rows(documents.ORPHANED, [names, CHANGES])]:
            await documents.tombstone(self.session, ids, self.fence)
            self.counts.deleted += len(ids)

    async def _sync_source(self, config: SourceConfig) -> None:
        facts = Facts(dict(config.metadata), list(config.acl))
        # Before the listing and whatever comes of it: who may read is never as old as a source that is down.
        while restated := await documents.restate_source(self.session, config.name, facts, self.fence, CHANGES):
            self.counts.updated += restated
        crawled = isinstance(config.source, HttpSource)
        stored = await documents.validators(self.session, config.name) if crawled else {}
        source = open_source(config, self.config.max_file_bytes, self.sandbox, stored.get)
        fetcher = Fetcher(source, self.sandbox, self.config.max_file_bytes, FETCHES, Budget(FETCH_BYTES))
        reading = _Pass(fetcher, facts)
        try:
            await self._read_all(reading, 1 if crawled else WINDOW)
        finally:
            # also when the source went away in the middle, or the run is told to end: what was read is kept
            await self._write(reading)
            await source.close()
        await self._tombstone_vanished(reading)

    async def _read_all(self, reading: _Pass, size: int) -> None:
        """List and read in windows. A crawled source holds the page that it listed last: there the window is 1."""
        window: list[Item] = []
        async with aclosing(reading.fetcher.source.items()) as items:
            async for item in items:
                window.append(item)
                if len(window) >= size:
                    await self._read_window(reading, window)
                    window.clear()
        await self._read_window(reading, window)

    async def _read_window(self, reading: _Pass, items: Sequence[Item]) -> None:
        paths = [item.path for item in items]
        known = await documents.known(self.session, reading.source, paths)
        letters = await documents.letters(self.session, reading.source, paths)
        reading.ids.update(row.id for row in known.values())
        remaining: list[Candidate] = []
        for item in items:
            candidate = Candidate(item, known.get(item.path), letters.get(item.path))
            outcome = reading.fetcher.without_fetching(candidate)
            if outcome is None:
                remaining.append(candidate)
            else:
                self._note(reading, outcome, letters.keys())
        async with aclosing(reading.fetcher.outcomes(remaining)) as outcomes:
            async for outcome in outcomes:
                self._note(reading, outcome, letters.keys())
                if reading.batch.full():
                    await self._write(reading)

    def _note(self, reading: _Pass, outcome: Outcome, letters: Container[str]) -> None:
        """Sort an outcome into the batch, and count what needs no writing."""
        batch = reading.batch
        match outcome:
            case Unchanged():
                self.counts.unchanged += 1
                if outcome.refresh:
                    batch.refreshed.append(outcome)
            case StillFailing():
                self.counts.failed += 1
                reading.failing.add(outcome.path)
                if outcome.validator is not None:
                    batch.still.append(outcome)
            case Changed():
                self.counts.parsed += 1
                batch.changed.append(outcome)
                batch.size += outcome.size
            case Failure():
                batch.failures.append(outcome)
        if isinstance(outcome, Unchanged | Changed) and outcome.path in letters:
            batch.settled.append(outcome.path)

    async def _write(self, reading: _Pass) -> None:
        """Commit the batch and begin another. What could not be committed is not tried again by `finally` above."""
        batch, reading.batch = reading.batch, Batch()
        if batch.empty():
            return
        try:
            await self._commit(reading, batch)
        except StoreRefusedError as error:
            if not batch.changed:
                raise
            await self._write_apart(reading, batch, error)
        for failure in batch.failures:
            reading.failing.add(failure.path)
            extra = fields(source=reading.source, reason=failure.reason)
            log.warning("a document failed: %s", failure.message, extra=extra)
        self.counts.failed += len(batch.failures)
        self.counts.added += sum(one.added for one in batch.changed)
        self.counts.updated += sum(not one.added for one in batch.changed)
        self.progress()

    async def _write_apart(self, reading: _Pass, batch: Batch, error: StoreRefusedError) -> None:
        """Find the documents that Postgres can't store; they become failures, the others are written."""
        kept: list[Changed] = []
        for one in batch.changed:
            try:
                await self._commit(reading, Batch(changed=[one]))
                kept.append(one)
            except StoreRefusedError as refusal:
                message = f"{one.path}: it can't be stored ({refusal})"
                batch.failures.append(Failure(reading.source, one.path, "Unstorable", message))
        if len(kept) == len(batch.changed):
            raise error
        batch.settled = [path for path in batch.settled if path not in {f.path for f in batch.failures}]
        batch.changed = kept
        await self._commit(reading, Batch([], batch.refreshed, batch.failures, batch.still, batch.settled))

    async def _commit(self, reading: _Pass, batch: Batch) -> None:
        session, source = self.session, reading.source
        async with session.transaction():
            drawn = await session.value(documents.DRAW, [len(batch.changed), self.fence])
            if batch.changed:
                reading.ids.update(await documents.upsert(session, source, reading.facts, batch.changed, drawn))
            if batch.refreshed:
                pairs = [one.id for one in batch.refreshed], [one.validator for one in batch.refreshed]
                await session.rows(documents.REFRESH, pairs)
            if batch.failures:
                await documents.post(session, "Sync", batch.failures)
            if batch.still:
                columns = [one.path for one in batch.still], [one.validator for one in batch.still]
                await session.rows(documents.LETTER_VALIDATORS, [*columns, session.tenant_id, source])
            if batch.settled:
                await documents.settle(session, source, batch.settled)

    async def _tombstone_vanished(self, reading: _Pass) -> None:
        """Delete what a complete listing no longer has."""
        after = 0
        while rows := await self.session.rows(documents.PRESENT, [reading.source, after, documents.PAGE]):
            after = rows[-1][0]
            gone = [row[0] for row in rows if row[0] not in reading.ids]
            for first in range(0, len(gone), CHANGES):
                await documents.tombstone(self.session, gone[first : first + CHANGES], self.fence)
            self.counts.deleted += len(gone)
        remaining = [self.session.tenant_id, reading.source, sorted(reading.failing)]
        await self.session.rows(documents.VANISHED_LETTERS, remaining)
