"""What a run tells: counts in the catalog for the operator, a line for a person at a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb

from rag_runtime.ingest.store import Session

EVERY_SECONDS = 10.0
"""Between two reports of a build: each is a write and a NOTIFY."""
MAX_MESSAGE = 800
REPORT = "SELECT {c}.report(%s)"


@dataclass(slots=True)
class Counts:
    """What a run did. `parsed` and `embedded` (texts) are 0 when nothing changed: the point of sync and index."""

    added: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    failed: int = 0
    parsed: int = 0
    embedded: int = 0
    unavailable: dict[str, str] = field(default_factory=dict)
    """By name of a source that could not be listed, why."""
    refused: set[tuple[str, str]] = field(default_factory=set)
    """(source, path) of documents that the embedder refuses; they count as failed."""
    problems: list[str] = field(default_factory=list)
    """Sentences of what else made the run fail."""
    notes: list[str] = field(default_factory=list)
    """Sentences that a person should read although the run is fine."""

    synced: bool = False
    """Whether this run read the sources itself, rather than leave that to another run that was at it."""

    @property
    def succeeded(self) -> bool:
        """Whether every source was read and every step done. Dead letters are no failure of the run."""
        return not self.unavailable and not self.problems

    def numbers(self) -> dict[str, int]:
        """The counters by name."""
        names = ("added", "updated", "deleted", "unchanged", "failed", "parsed", "embedded")
        return {name: getattr(self, name) for name in names} | {"failed": self.failed + len(self.refused)}

    def begin_sync(self) -> None:
        """A sync begins, perhaps again: what it finds as it was is counted anew, what was done stays done."""
        self.unchanged = self.failed = 0
        self.unavailable.clear()

    @property
    def message(self) -> str:
        """What went wrong, in sentences; empty if nothing did."""
        return " · ".join([*self.unavailable.values(), *self.problems, *self.notes])[:MAX_MESSAGE]


def now() -> datetime:
    """The time of day, UTC."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Reporter:
    """Writes `lastIngestion` and `building`, the latter at most every EVERY_SECONDS."""

    session: Session
    clock: Callable[[], float] = time.monotonic
    _due: float = 0.0

    async def finished(self, counts: Counts, started: datetime, config: str) -> None:
        """The end of a run; `config` is the digest of the configuration that it has carried out, if it has."""
        last: dict[str, Any] = {"startedAt": stamp(started), "finishedAt": stamp(now()), **counts.numbers()}
        last["succeeded"] = counts.succeeded
        if counts.synced and counts.succeeded:
            last["config"] = config
        if counts.message:
            last["message"] = counts.message
        await self.session.rows(REPORT, [Jsonb({"lastIngestion": last})])

    def due(self) -> bool:
        """Whether it is time for another report of a build; at most one caller is told so."""
        at = self.clock()
        if at < self._due:
            return False
        self._due = at + EVERY_SECONDS
        return True

    async def building(self, revision: int, documents: int, total: int) -> None:
        """How far a revision is."""
        percent = 100 if total == 0 else int(100 * documents / total)
        part = {"revision": revision, "documents": documents, "totalDocuments": total, "percent": percent}
        await self.session.rows(REPORT, [Jsonb({"building": part})])


def stamp(at: datetime) -> str:
    """RFC 3339 with seconds, as Kubernetes writes times."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class ProgressLine:
    """One line on a terminal that is written over; silent elsewhere."""

    def __init__(self) -> None:
        self._stream = sys.stderr
        self.shown = self._stream.isatty()

    def show(self, text: str) -> None:
        """Replace the line."""
        if self.shown:
            self._stream.write(f"\r\x1b[2K{text[:150]}")
            self._stream.flush()

    def end(self) -> None:
        """Clear the line."""
        self.show("")
