"""Plain text: one section, as it stands."""

from __future__ import annotations

from rag_runtime.ingest.parse.base import Parsed, UnsupportedMedia
from rag_runtime.ingest.parse.decode import decode
from rag_runtime.ingest.parse.outline import Outline


def parse_text(body: bytes, path: str, media_type: str | None) -> Parsed:
    """The text itself with uniform line ends. Raises UnsupportedMedia for bytes that are not text, else as `decode`."""
    refuse_binary(body, path)
    outline = Outline(path)
    outline.block(decode(body, path, media_type).replace("\r\n", "\n").replace("\r", "\n"))
    return outline.finish("", "text/plain")


def refuse_binary(body: bytes, path: str) -> None:
    """Raises UnsupportedMedia for a NUL in the first 8 KiB (as git tells binary files) of what is not UTF-16 or -32."""
    if b"\0" in body[:8192] and not body.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")):
        raise UnsupportedMedia(
            f"{path}: it is binary, not text; name its type by its suffix (.pdf, .html, .md), or exclude it"
        )
