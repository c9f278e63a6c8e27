"""Http sources of tests."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import pytest
from aiohttp.abc import AbstractResolver

from rag_runtime.contract.config import HttpSource, SourceConfig
from rag_runtime.ingest.sources import Item, ItemError
from rag_runtime.ingest.sources.http import HttpReader


@contextlib.asynccontextmanager
async def reader_of(
    *urls: str,
    names: AbstractResolver | None = None,
    allowed: Sequence[str] = (),
    depth: int = 0,
    known: Mapping[str, str] | None = None,
    exclude: Sequence[str] = (),
    include: Sequence[str] = (),
    ca: Path | None = None,
) -> AsyncGenerator[HttpReader, None]:
    """An http source named "site" that takes up to 1,000 bytes a page."""
    ca_file = PurePosixPath(ca) if ca else None
    source = HttpSource(urls=list(urls), depth=depth, allowed_hosts=list(allowed), ca_file=ca_file)
    config = SourceConfig(name="site", source=source, exclude=list(exclude), include=list(include))
    stored = dict(known or {})
    reader = HttpReader(config, source, 1000, known=stored.get, resolver=names)
    try:
        yield reader
    finally:
        await reader.close()


async def listed(reader: HttpReader) -> list[Item]:
    """All items."""
    return [item async for item in reader.items()]


async def refusal(reader: HttpReader) -> ItemError:
    """The error of a source's only item."""
    [item] = await listed(reader)
    with pytest.raises(ItemError) as caught:
        await reader.fetch(item)
    assert caught.value.message.startswith("source 'site': http")
    return caught.value
