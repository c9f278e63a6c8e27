"""From a source's configuration to the object that reads it."""

from __future__ import annotations

from collections.abc import Callable

from rag_runtime.contract.config import HttpSource, SourceConfig
from rag_runtime.ingest.parse.sandbox import Sandbox
from rag_runtime.ingest.sources.base import Source
from rag_runtime.ingest.sources.directory import DirectoryReader
from rag_runtime.ingest.sources.http import HttpReader


def open_source(
    config: SourceConfig,
    max_bytes: int,
    sandbox: Sandbox | None = None,
    known: Callable[[str], str | None] = lambda path: None,
) -> Source:
    """The reader of `config`; nothing is read or connected before its `items` is iterated.

    `max_bytes`: a larger document becomes an ItemError. `sandbox`: the parsers' process, which also extracts a crawled
    page's links (an http source with depth > 0 starts one of its own if none is given). `known`: from an item's path to
    the validator stored at the last sync, so that an http source asks with If-None-Match and an unchanged page isn't
    transferred.
    """
    if isinstance(config.source, HttpSource):
        return HttpReader(config, config.source, max_bytes, sandbox, known)
    return DirectoryReader(config, config.source, max_bytes)
