"""PDF: the text layer, a section a page. Pure Python (pypdf), so no native parser meets untrusted bytes."""

from __future__ import annotations

from io import BytesIO

from pypdf import PdfReader
from pypdf.errors import DependencyError

from rag_runtime.ingest.parse.base import Parsed, ParseError
from rag_runtime.ingest.parse.outline import Outline


def parse_pdf(body: bytes, path: str, media_type: str | None) -> Parsed:
    """Text by page. Raises ParseError: Empty, Damaged (also truncated), Encrypted, NoText (a scan), TextTooLarge.

    A decompressed stream is at most 75 MB (pypdf's ZLIB_MAX_OUTPUT_LENGTH); time and memory are the sandbox's bounds.
    """
    if not body:
        raise ParseError("Empty", f"{path}: the file has 0 bytes; upload it again")
    if b"%PDF-" not in body[:1024]:  # where ISO 32000-1, Annex H, looks for it
        raise ParseError("Damaged", f"{path}: it doesn't begin as a PDF; check what was uploaded under that name")
    if b"%%EOF" not in body[-2048:]:
        raise ParseError("Damaged", f"{path}: the PDF is truncated, its end is missing; upload it whole")
    outline = Outline(path)
    try:
        title = _read(body, path, outline)
    except (ParseError, MemoryError):
        raise
    except Exception as error:  # boundary: pypdf raises any type on malformed objects
        raise ParseError(
            "Damaged", f"{path}: the PDF can't be read ({type(error).__name__}); repair it or print it anew as a PDF"
        ) from error
    parsed = outline.finish(title, "application/pdf")
    if not parsed.text:
        raise ParseError("NoText", f"{path}: the PDF holds no text, it is probably a scan; run OCR over it first")
    return parsed


def _read(body: bytes, path: str, outline: Outline) -> str:
    """Write the pages, return the title that the document states."""
    reader = PdfReader(BytesIO(body))
    if reader.is_encrypted and not _opens_without_password(reader):
        raise ParseError("Encrypted", f"{path}: the PDF is encrypted; save it without a password")
    for number, page in enumerate(reader.pages, start=1):
        text = page.extract_text()
        if text.strip():
            outline.section(1, f"page {number}")
            outline.block(text)
    outline.first_heading = ""
    title = reader.metadata.title if reader.metadata else None
    return title if isinstance(title, str) else ""


def _opens_without_password(reader: PdfReader) -> bool:
    """Whether an empty user password opens it: such files only ask viewers not to print."""
    try:
        return bool(reader.decrypt(""))
    except (DependencyError, NotImplementedError):  # AES needs a package that we don't bring
        return False
