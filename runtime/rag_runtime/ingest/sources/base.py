"""What every kind of source has in common: its items, its protocol, its errors."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from rag_runtime.models.errors import PermanentError


@dataclass(frozen=True, slots=True)
class Item:
    """One document that a source lists.

    `path` is its identity within the source (a relative POSIX path, or a URL without fragment), `uri` what a citation
    shows, `size` its bytes where known. `validator` is a cheap token of the source's side (mtime and size, ETag): equal
    to the one stored means that fetching may be skipped; None means that only the bytes can tell.
    """

    path: str
    uri: str
    size: int | None
    validator: str | None


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of one item; `media_type` is what the source says of them (it may have parameters), None if nothing."""

    body: bytes
    media_type: str | None


class SourceError(PermanentError):
    """Base of a source's errors; the text names the source and the mend."""


class SourceUnavailable(SourceError):  # noqa: N818  it names the finding
    """The source as a whole can't be listed (to its end): stop, and delete nothing that it once listed."""


class ItemError(SourceError):
    """One document can't be had: it goes to the dead letters, the run goes on, what was indexed of it stays.

    `reason` is a CamelCase word for counters: OutsideRoot, TooLarge, Unreadable, AddressRefused, NotFound, HttpStatus,
    Unreachable, TooManyRedirects, TimedOut.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Source(Protocol):
    """One named source of a tenant."""

    @property
    def name(self) -> str:
        """Its name in the tenant's spec."""
        ...

    def items(self) -> AsyncGenerator[Item, None]:
        """Every document, each path once, in a stable order, also those whose `fetch` will raise ItemError.

        Raises SourceUnavailable, at the start or after the last item, when the listing is not complete.
        """
        ...

    async def fetch(self, item: Item) -> Fetched:
        """The bytes of an item that `items` gave. Raises ItemError, or SourceUnavailable when all of it is gone."""
        ...

    async def close(self) -> None:
        """Release connections and files."""
        ...
