"""What every parser gives and raises, and the bounds that all keep."""

from __future__ import annotations

from dataclasses import dataclass

from rag_runtime.models.errors import PermanentError

MAX_TEXT_BYTES = 20 * 1024 * 1024
"""Of extracted text in UTF-8: some 10,000 book pages. The chunks of more would not fit a small Job."""


@dataclass(frozen=True, slots=True)
class Section:
    """Characters `start`..`end` of the text, under a heading; `heading_path` runs from the outermost one."""

    heading_path: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document's text. Sections lie end to end and cover the text; a section's text begins with its heading line.

    The text has no NUL and no lone surrogate, so Postgres takes it. `links`: targets in an HTML page as written there.
    """

    title: str
    text: str
    media_type: str
    sections: tuple[Section, ...]
    links: tuple[str, ...] = ()


class ParseError(PermanentError):
    """One document can't be read: it goes to the dead letters, the run goes on.

    `reason` is a CamelCase word for counters: Empty, Damaged, Encrypted, NoText, InvalidEncoding, TextTooLarge,
    TooComplex, TimedOut, OutOfMemory, Crashed, Unsupported. `message` names the document and the mend.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class UnsupportedMedia(ParseError):  # noqa: N818  it names the finding
    """Its type is none that we read."""

    def __init__(self, message: str) -> None:
        super().__init__("Unsupported", message)
