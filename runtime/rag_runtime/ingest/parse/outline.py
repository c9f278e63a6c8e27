"""Collects a document's text block by block, with its sections, within the bound that all parsers keep."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from rag_runtime.ingest.parse.base import MAX_TEXT_BYTES, Parsed, ParseError, Section

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Outline:
    """A text under construction."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._pieces: list[str] = []
        self._length = 0
        self._bytes = 0
        self._open: list[tuple[int, str]] = []
        self._starts: list[tuple[int, tuple[str, ...]]] = []
        self.first_heading = ""

    def heading(self, level: int, title: str) -> None:
        """A heading of level 1..6: ends the sections of its level and below, begins one that starts with its line."""
        title = " ".join(title.split())
        if title:
            self.section(level, title)
            self.block(title)

    def section(self, level: int, title: str) -> None:
        """Begin a section whose title is not part of the text."""
        title = _storable(title)
        self.first_heading = self.first_heading or title
        self._open = [(above, name) for above, name in self._open if above < level]
        self._open.append((level, title))
        self._separate("\n\n")
        self._starts.append((self._length, tuple(name for _, name in self._open)))

    def block(self, text: str, *, tight: bool = False) -> None:
        """A paragraph, list item, table row or code block; `tight`: a line break sets it off. Empty ones vanish."""
        text = text.strip("\n").rstrip()
        if text.strip():
            self._separate("\n" if tight else "\n\n")
            self._write(_storable(text))

    def finish(self, title: str, media_type: str, links: tuple[str, ...] = ()) -> Parsed:
        """The document; without a title it gets its first heading, or else its file's name."""
        text = "".join(self._pieces)
        starts = self._starts
        if not starts or starts[0][0] > 0:
            starts = [(0, ()), *starts]
        ends = [start for start, _ in starts[1:]] + [len(text)]
        sections = tuple(Section(names, start, end) for (start, names), end in zip(starts, ends, strict=True))
        name = _storable(" ".join(title.split())) or self.first_heading or file_title(self._path)
        return Parsed(name[:500], text, media_type, sections, links)

    def _separate(self, separator: str) -> None:
        if not self._pieces or self._pieces[-1] == "\n\n":
            return
        if self._pieces[-1] == "\n":
            self._pieces.pop()
            self._length -= 1
        self._pieces.append(separator)
        self._length += len(separator)

    def _write(self, text: str) -> None:
        self._bytes += len(text.encode())
        if self._bytes > MAX_TEXT_BYTES:
            raise ParseError(
                "TextTooLarge",
                f"{self._path}: its text exceeds {MAX_TEXT_BYTES // 2**20} MiB; split the document, or exclude it",
            )
        self._pieces.append(text)
        self._length += len(text)


def file_title(path: str) -> str:
    """A title of the last part of a path or URL, without its suffix: "guides/first-steps.md" gives "first-steps"."""
    name = PurePosixPath(urlsplit(path).path if "://" in path else path)
    return _storable(name.stem or path)


def _storable(text: str) -> str:
    """Without what Postgres refuses in UTF-8 text: NUL and lone surrogates become U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)
