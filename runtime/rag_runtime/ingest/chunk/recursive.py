"""Recursive chunking: the longest passages within a size in tokens that end at the best border there is.

From the end of one chunk the next reaches as far as `size` tokens allow; within that reach the best kind of border wins
(section, paragraph, line, sentence, space, word), the furthest of its kind. A border that would leave less than half of
the size unused is passed over for the next kind, so that small pieces are merged instead of becoming small chunks. Only
a section's end cuts earlier: passages of two sections share a chunk only when the first is too small to stand alone.
Each chunk costs a few binary searches, so the whole is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rag_runtime.contract.config import Chunking
from rag_runtime.ingest.chunk.borders import Borders, Level, find_borders
from rag_runtime.ingest.parse.base import Parsed, Section
from rag_runtime.models.tokenizer import Tokenizer

_NEXT = re.compile(r"\S")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage: `text` is characters `start`..`end` of the document's text and has `tokens` ≤ size tokens.

    `ordinal` counts from 0. `heading` is the heading path it lies under ("Install > Requirements", empty if none);
    it is not part of `text`, where the section's own heading line is.
    """

    ordinal: int
    text: str
    heading: str
    tokens: int
    start: int
    end: int


def chunk(parsed: Parsed, chunking: Chunking, tokenizer: Tokenizer) -> list[Chunk]:
    """The document's chunks in order; an empty list for a text of nothing but space.

    Every character that is not space lies in some chunk, none has more than `chunking.size` tokens as `tokenizer`
    counts its text, and neighbours within a section share up to `chunking.overlap` tokens (at most half the size).
    CPU-bound, 0.7 MB/s of English on two cores; call it in a thread.
    """
    borders = find_borders(parsed, tokenizer)
    cutter = _Cutter(parsed.text, borders, chunking, tokenizer)
    headings = _Headings(parsed.sections)
    return [
        Chunk(ordinal, parsed.text[start:end], headings.of(start, end), tokens, start, end)
        for ordinal, (start, end, tokens) in enumerate(cutter.cuts())
    ]


class _Cutter:
    """Walks through a text and cuts it."""

    def __init__(self, text: str, borders: Borders, chunking: Chunking, tokenizer: Tokenizer) -> None:
        self._text = text
        self._borders = borders
        self._size = chunking.size
        self._overlap = min(chunking.overlap, chunking.size // 2)
        self._tokenizer = tokenizer

    def cuts(self) -> Iterator[tuple[int, int, int]]:
        """(start, end, tokens) of each chunk, without space at either end."""
        start = new = self._skip_space(0)
        while new < len(self._text):
            cut = self._cut(start, new)
            if cut is None:  # nothing new fits behind the overlap
                start = new
                continue
            end, tokens = cut
            yield start, start + len(self._text[start:end].rstrip()), tokens
            new = self._skip_space(end)
            start = self._skip_space(self._overlapping(start, end, new))

    def _skip_space(self, position: int) -> int:
        match = _NEXT.search(self._text, position)
        return match.start() if match else len(self._text)

    def _cut(self, start: int, new: int) -> tuple[int, int] | None:
        """Where the chunk that begins at `start` ends, beyond `new`, and its tokens."""
        borders, size, length = self._borders, self._size, len(self._text)
        reach = borders.reach(start, size, length)
        worthwhile = borders.reach(start, size // 4, length)
        half = borders.reach(start, size // 2, length)
        end = borders.first(Level.SECTION, max(worthwhile, new + 1), reach + 1)
        end = end or self._best(max(half, new), reach) or self._best(new, reach)
        if end is not None and borders.is_border(Level.WORD, start):
            return end, borders.count(start, end)
        return self._fit(start, end or min(reach, start + size)) if start == new else None

    def _best(self, after: int, until: int) -> int | None:
        """The last border of the best kind with after < border ≤ until."""
        return next((found for level in Level if (found := self._borders.last(level, after, until)) is not None), None)

    def _fit(self, start: int, end: int) -> tuple[int, int]:
        """A piece that begins or ends within a word has other tokens than the whole: count, and halve until it fits."""
        end = max(end, start + 1)
        while (tokens := self._tokenizer.count(self._text[start:end])) > self._size and end - start > 1:
            end = start + (end - start) // 2
        return end, tokens

    def _overlapping(self, start: int, end: int, new: int) -> int:
        """Where the next chunk begins: up to `overlap` tokens before `new`, at a sentence or else a space."""
        borders = self._borders
        if not self._overlap or borders.is_border(Level.SECTION, end) or not borders.is_border(Level.WORD, end):
            return new
        since = max(borders.back(end, self._overlap), start + 1)
        for level in (Level.SENTENCE, Level.SPACE):
            if (position := borders.first(level, since, end)) is not None:
                return position
        return new


class _Headings:
    """Finds the heading of a chunk; chunks are asked for in order."""

    def __init__(self, sections: tuple[Section, ...]) -> None:
        self._sections = sections
        self._first = 0

    def of(self, start: int, end: int) -> str:
        """What the sections in start..end have in common of their heading paths, or else the first's."""
        sections = self._sections
        while self._first + 1 < len(sections) and sections[self._first].end <= start:
            self._first += 1
        if not sections:
            return ""
        common = first = sections[self._first].heading_path
        for i in range(self._first + 1, len(sections)):
            if sections[i].start >= end:
                break
            common = _common(common, sections[i].heading_path)
        return " > ".join(common or first)


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    same = 0
    while same < min(len(one), len(other)) and one[same] == other[same]:
        same += 1
    return one[:same]
