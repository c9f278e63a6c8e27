"""The one entry to all parsers, in this process. Bytes of strangers go through `sandbox` instead."""

from __future__ import annotations

from rag_runtime.ingest.parse.base import Parsed
from rag_runtime.ingest.parse.detect import Kind, kind_of


def parse(body: bytes, path: str, media_type: str | None) -> Parsed:
    """The document's text. Raises ParseError (UnsupportedMedia for a type that we don't read).

    A parser's library is imported when its kind is first met: a tenant of Markdown pays no PDF library.
    """
    match kind_of(path, media_type):
        case Kind.MARKDOWN:
            from rag_runtime.ingest.parse.markdown import parse_markdown as parser  # noqa: PLC0415
        case Kind.HTML:
            from rag_runtime.ingest.parse.html import parse_html as parser  # noqa: PLC0415
        case Kind.PDF:
            from rag_runtime.ingest.parse.pdf import parse_pdf as parser  # noqa: PLC0415
        case Kind.TEXT:
            from rag_runtime.ingest.parse.text import parse_text as parser  # noqa: PLC0415
    return parser(body, path, media_type)
