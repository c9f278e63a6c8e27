"""From a listed item to what became of it: fetched and parsed outside any transaction, several at a time, bounded."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from rag_runtime.ingest.documents import Changed, Failure, Known
from rag_runtime.ingest.parse import ParseError, Sandbox, extractor_for
from rag_runtime.ingest.sources import Item, ItemError, Source, SourceUnavailable

log = logging.getLogger(__name__)

MAX_PATH_BYTES = 2000
"""Of an item's path: it is part of a unique index, whose entries Postgres bounds at 2,704 bytes."""
PARSERS = "+".join(extractor_for(f"x{suffix}", None) for suffix in (".md", ".html", ".txt", ".pdf"))
"""Versions of all parsers: a newer one gives every dead letter another chance."""
UNKNOWN_SIZE = 2**20


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The stored version is the current one. `validator` is set when the row has another."""

    path: str
    id: int
    validator: str | None = None
    refresh: bool = False


@dataclass(frozen=True, slots=True)
class StillFailing:
    """The document of a dead letter that hasn't changed. `validator`: the letter's new one, None if it is as stored."""

    path: str
    validator: str | None = None


Outcome = Unchanged | StillFailing | Changed | Failure


@dataclass(frozen=True, slots=True)
class Candidate:
    """A listed item, and what is stored of it."""

    item: Item
    known: Known | None
    letter: str | None
    """Validator of its dead letter; None without one, or when it is to be tried again."""


class Budget:
    """At most `limit` bytes held at once; one larger than that is held alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._freed = asyncio.Condition()

    async def take(self, size: int) -> int:
        """Wait for room; gives what `give` must give back."""
        size = min(size, self._limit)
        async with self._freed:
            await self._freed.wait_for(lambda: self._held + size <= self._limit)
            self._held += size
        return size

    async def give(self, size: int) -> None:
        """Make room."""
        async with self._freed:
            self._held -= size
            self._freed.notify_all()


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Reads items of one source. `max_bytes` is part of a dead letter's validator: a raised limit gives another try."""

    source: Source
    sandbox: Sandbox
    max_bytes: int
    concurrency: int
    budget: Budget

    def without_fetching(self, candidate: Candidate) -> Outcome | None:
        """What the validator alone can tell; None when the bytes are needed."""
        item, known = candidate.item, candidate.known
        if len(item.path.encode(errors="replace")) > MAX_PATH_BYTES:
            name = f"{item.path[:200]}… {hashlib.sha256(item.path.encode(errors='replace')).hexdigest()[:16]}"
            message = f"{name}: its path is longer than {MAX_PATH_BYTES} bytes; shorten or exclude it"
            return Failure(self.source.name, name, "PathTooLong", message)
        if item.validator is None:
            return None
        if candidate.letter and candidate.letter.startswith(self._token(item.validator, "")):
            return StillFailing(item.path)
        if candidate.letter or known is None or known.deleted or known.validator != item.validator:
            return None
        current = extractor_for(item.path, known.media_type) == known.extractor and known.uri == item.uri
        return Unchanged(item.path, known.id) if current else None

    async def outcomes(self, candidates: Sequence[Candidate]) -> AsyncGenerator[Outcome, None]:
        """What became of each, as they come, `concurrency` at a time. Raises SourceUnavailable."""
        pending = iter(candidates)
        running: set[asyncio.Task[Outcome]] = set()
        try:
            while True:
                while len(running) < self.concurrency and (candidate := next(pending, None)) is not None:
                    running.add(asyncio.create_task(self._outcome(candidate)))
                if not running:
                    return
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _outcome(self, candidate: Candidate) -> Outcome:
        item = candidate.item
        held = await self.budget.take(UNKNOWN_SIZE if item.size is None else min(item.size, self.max_bytes))
        try:
            return await self._read(candidate)
        except SourceUnavailable:
            raise
        except ItemError as error:
            token = self._token(item.validator, "") if error.reason == "TooLarge" and item.validator else None
            return Failure(self.source.name, item.path, error.reason, error.message, token)
        except Exception as error:  # boundary: one document; whatever it breaks, the run goes on
            log.warning("a document could not be read", exc_info=error)
            message = f"{item.path}: reading it failed unexpectedly ({type(error).__name__}); report it"
            return Failure(self.source.name, item.path, "Unexpected", message)
        finally:
            await self.budget.give(held)

    async def _read(self, candidate: Candidate) -> Outcome:
        item, known = candidate.item, candidate.known
        fetched = await self.source.fetch(item)
        digest = await asyncio.to_thread(lambda: hashlib.sha256(fetched.body).hexdigest())
        extractor = extractor_for(item.path, fetched.media_type)
        token = self._token(item.validator, digest)
        if candidate.letter and candidate.letter.endswith(self._content(digest)):
            return StillFailing(item.path, token)
        if known and not known.deleted:
            same = (known.content_hash, known.extractor, known.uri) == (digest, extractor, item.uri)
            if same:
                return Unchanged(item.path, known.id, item.validator, known.validator != item.validator)
        try:
            parsed = await self.sandbox.parse(fetched.body, item.path, fetched.media_type)
            if not parsed.text.strip():
                raise ParseError("Empty", f"{item.path}: the document has no text; upload it again, or exclude it")
        except ParseError as error:
            return Failure(self.source.name, item.path, error.reason, error.message, token)
        added = known is None or known.deleted
        return Changed(item.path, item.uri, item.validator, digest, extractor, parsed, added)

    def _token(self, validator: str | None, digest: str) -> str:
        """A dead letter's validator: what would have to change before another try makes sense."""
        return f"{validator or ''}{self._content(digest)}"

    def _content(self, digest: str) -> str:
        return f"|{PARSERS}|{self.max_bytes}|{digest}"
