"""Parsers: from a document's untrusted bytes to text with sections. `Sandbox` runs them in a process of its own."""

from rag_runtime.ingest.parse.base import Parsed, ParseError, Section, UnsupportedMedia
from rag_runtime.ingest.parse.detect import extractor_for
from rag_runtime.ingest.parse.parse import parse
from rag_runtime.ingest.parse.sandbox import Sandbox

__all__ = ["ParseError", "Parsed", "Sandbox", "Section", "UnsupportedMedia", "extractor_for", "parse"]
