"""Sources: where documents come from. One module per kind, all behind `Source`."""

from rag_runtime.ingest.sources.base import Fetched, Item, ItemError, Source, SourceError, SourceUnavailable
from rag_runtime.ingest.sources.factory import open_source

__all__ = ["Fetched", "Item", "ItemError", "Source", "SourceError", "SourceUnavailable", "open_source"]
