"""Where a text may be cut: by section, paragraph, line, sentence, word, each a sorted array of character positions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from rag_runtime.ingest.parse.base import Parsed
from rag_runtime.models.tokenizer import Tokenizer, TokenSpans

# 32 bits: the positions of 20 MB of full stops would otherwise not fit a small pod.
Positions = NDArray[np.int32]

# Every pattern is possessive or anchored on one character, so that a hostile text can't make it backtrack.
_PARAGRAPH = re.compile(r"\n[^\S\n]*+\n\s*+")
_LINE = re.compile(r"\n")
_SENTENCE = re.compile(r"[.!?…][\"'\u201d\u2019\u00bb)\]]*+\s++|[。!?]")
_SPACE = re.compile(r"\s++")


class Level(IntEnum):
    """Kinds of border, the best cut first."""

    SECTION = 0
    PARAGRAPH = 1
    LINE = 2
    SENTENCE = 3
    SPACE = 4
    WORD = 5


@dataclass(frozen=True, slots=True)
class Borders:
    """Borders of one text by level, and the starts of its tokens; the end of the text is a border of every level."""

    levels: tuple[Positions, ...]
    tokens: Positions

    def last(self, level: Level, after: int, until: int) -> int | None:
        """The last border of a level with after < border ≤ until."""
        positions = self.levels[level]
        i = _rank(positions, until + 1) - 1
        return int(positions[i]) if i >= 0 and positions[i] > after else None

    def first(self, level: Level, since: int, until: int) -> int | None:
        """The first border of a level with since ≤ border < until."""
        positions = self.levels[level]
        i = _rank(positions, since)
        return int(positions[i]) if i < len(positions) and positions[i] < until else None

    def is_border(self, level: Level, position: int) -> bool:
        """Whether `position` is a border of that level."""
        return self.last(level, position - 1, position) is not None

    def count(self, start: int, end: int) -> int:
        """Tokens that begin in start ≤ position < end."""
        return _rank(self.tokens, end) - _rank(self.tokens, start)

    def reach(self, start: int, tokens: int, length: int) -> int:
        """The furthest end with `count(start, end)` ≤ `tokens`, at most `length`."""
        i = _rank(self.tokens, start) + tokens
        return int(self.tokens[i]) if i < len(self.tokens) else length

    def back(self, end: int, tokens: int) -> int:
        """The earliest start with `count(start, end)` ≤ `tokens`."""
        i = _rank(self.tokens, end) - tokens
        return int(self.tokens[i]) if i > 0 else 0


def find_borders(parsed: Parsed, tokenizer: Tokenizer) -> Borders:
    """Borders of a document's text, in one pass of each kind; the tokenizer runs once over the whole."""
    text = parsed.text
    spans = tokenizer.spans(text)
    sections = np.array(sorted({section.start for section in parsed.sections} - {0}), np.int32)
    words = spans.starts[spans.heads]
    found = (sections, _ends(_PARAGRAPH, text), _ends(_LINE, text), _ends(_SENTENCE, text), _ends(_SPACE, text), words)
    end = np.array([len(text)], np.int32)
    return Borders(tuple(np.union1d(_outside_words(p, spans), end) for p in found), spans.starts)


def _outside_words(positions: Positions, spans: TokenSpans) -> Positions:
    """Those that don't lie within a word of the tokenizer: some see no space where Unicode has one (U+001F)."""
    following = np.searchsorted(spans.starts, positions, side="left")
    before_head = np.append(spans.heads, True)[following]
    behind_end = np.insert(spans.ends, 0, 0)[following] <= positions
    return positions[before_head & behind_end]


def _rank(positions: Positions, value: int) -> int:
    """How many are < value. The scalar has the array's type, or numpy would widen the array at every call."""
    return int(np.searchsorted(positions, np.int32(value)))


def _ends(pattern: re.Pattern[str], text: str) -> Positions:
    return np.fromiter((match.end() for match in pattern.finditer(text)), np.int32)
