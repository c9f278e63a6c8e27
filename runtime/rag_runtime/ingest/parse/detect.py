"""Which parser reads a document, told by its path and the media type that its source gave, never by its bytes.

So the extractor's version is known before anything is fetched, and an unchanged document is left alone.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from rag_runtime.ingest.parse.base import UnsupportedMedia


class Kind(StrEnum):
    """The formats that are read; the value is the media type that is stored."""

    MARKDOWN = "text/markdown"
    HTML = "text/html"
    TEXT = "text/plain"
    PDF = "application/pdf"


_VERSIONS = {Kind.MARKDOWN: "markdown/1", Kind.HTML: "html/1", Kind.TEXT: "text/1", Kind.PDF: "pdf/1"}
"""Raised when a parser's output changes: documents of that kind are then extracted again at their next sync."""

_BY_SUFFIX = {
    ".md": Kind.MARKDOWN,
    ".markdown": Kind.MARKDOWN,
    ".mdown": Kind.MARKDOWN,
    ".mkd": Kind.MARKDOWN,
    ".html": Kind.HTML,
    ".htm": Kind.HTML,
    ".xhtml": Kind.HTML,
    ".pdf": Kind.PDF,
}
_BY_MEDIA_TYPE = {
    "text/markdown": Kind.MARKDOWN,
    "text/x-markdown": Kind.MARKDOWN,
    "text/html": Kind.HTML,
    "application/xhtml+xml": Kind.HTML,
    "application/pdf": Kind.PDF,
    "application/x-pdf": Kind.PDF,
}
_TEXT_MEDIA = ("text/", "application/json", "application/xml", "application/yaml", "application/toml")
_SAYS_NOTHING = {"", "application/octet-stream", "binary/octet-stream", "text/plain"}
"""Media types under which servers hand out everything that they don't know: the suffix knows better."""
_BINARY_NAMES = """
7z avi bin bmp bz2 class dll doc docx epub exe gif gz ico iso jar jpeg jpg mov mp3 mp4 o odp ods odt ogg otf parquet png
ppt pptx pyc rar rtf so tar tgz tif tiff ttf wasm wav webm webp woff woff2 xls xlsx xz zip zst
"""
_BINARY = frozenset(f".{name}" for name in _BINARY_NAMES.split())


def kind_of(path: str, media_type: str | None) -> Kind:
    """The format of a document. Raises UnsupportedMedia for one that is known not to be text."""
    suffix = PurePosixPath(urlsplit(path).path if "://" in path else path).suffix.lower()
    media = (media_type or "").partition(";")[0].strip().lower()
    if media not in _SAYS_NOTHING:
        if media in _BY_MEDIA_TYPE:
            return _BY_MEDIA_TYPE[media]
        if media.startswith(_TEXT_MEDIA) or media.endswith(("+json", "+xml")):
            return _BY_SUFFIX.get(suffix, Kind.TEXT)
        raise UnsupportedMedia(f"{path}: documents of type {media} are not read; {_WHAT_IS_READ}")
    if suffix in _BINARY:
        raise UnsupportedMedia(f"{path}: {suffix} files are not read; {_WHAT_IS_READ}")
    return _BY_SUFFIX.get(suffix, Kind.TEXT)


def extractor_for(path: str, media_type: str | None) -> str:
    """Name and version of the parser that would read it, such as "pdf/1"; part of what "unchanged" means."""
    try:
        return _VERSIONS[kind_of(path, media_type)]
    except UnsupportedMedia:
        return "unsupported/1"


_WHAT_IS_READ = "convert it to Markdown, HTML, PDF or plain text, or exclude it from the source"
