"""From bytes to characters, without guessing."""

from __future__ import annotations

import codecs
import re

from rag_runtime.ingest.parse.base import ParseError

_BOMS = (  # UTF-32 first: its little-endian mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_META = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
TOLERATED = 0.01
"""Share of bytes that may be invalid: a stray one in a long page is replaced, another encoding is refused."""


def decode(body: bytes, path: str, media_type: str | None, *, html: bool = False) -> str:
    """The text of `body`: by its byte order mark, else UTF-8, else the declared encoding, else UTF-8 with few faults.

    Raises ParseError when a hundredth of the bytes or more is in no encoding that it declares.
    """
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, "replace")
    for encoding in ("utf-8", *_declared(body, media_type, html)):
        try:
            return body.decode(encoding)
        except (UnicodeError, LookupError):
            continue
    text = body.decode("utf-8", "replace")
    faults = text.count("\ufffd") - body.count("\ufffd".encode())
    if faults >= len(body) * TOLERATED:
        raise ParseError(
            "InvalidEncoding", f"{path}: {faults} of its {len(body)} bytes are not UTF-8; convert it to UTF-8"
        )
    return text


def _declared(body: bytes, media_type: str | None, html: bool) -> list[str]:
    """Encodings that the source or the page states, nearest first."""
    found = _CHARSET.findall(media_type or "")
    if html and (match := _META.search(body, 0, 1024)):  # the HTML standard looks for it in the first 1,024 bytes
        found.append(match.group(1).decode("ascii"))
    return found
