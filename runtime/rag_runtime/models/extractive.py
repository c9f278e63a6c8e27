"""The built-in answerer: quotes the sentences that bear most on the question, each with its citation. No model at all.

A sentence counts the question's words that it holds, each by how rare it is among the passages' sentences (idf as in
Robertson and Spärck Jones), a little less the further down its passage was ranked. Sentence embeddings would rank
better, but at 3 ms a sentence on one core they would take longer than all else of a query.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from rag_runtime.contract.config import Answering
from rag_runtime.models.ports import Delta, Passage, Turn, Usage

QUOTES = 3
PASSAGES = 6
MAX_QUOTE = 500
"""Characters of one quote; a longer sentence (a table, code) is cut at a word."""
_RANK_DISCOUNT = 0.9
"""Per rank: a sentence of the second passage needs a tenth more overlap to win."""

_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\n\s*\n|\n(?=\s*(?:[-*]|\d+\.)\s)")
_STOP_WORDS = """
a an and are as at be but by can do does for from has have how i in is it its my of on or our should that the their
there this to was we what when where which who why will with you your
"""
_STOP = frozenset(_STOP_WORDS.split())


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    number: int
    order: int
    words: frozenset[str]


class ExtractiveAnswerer:
    """An Answerer that quotes. It can't paraphrase, combine or say that a passage is beside the question."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    @property
    def model(self) -> str:
        """Its name in answers and usage."""
        return "extractive"

    async def stream(
        self, question: str, passages: Sequence[Passage], history: Sequence[Turn] = ()
    ) -> AsyncGenerator[Delta, None]:
        """One delta a quote, in the order of the passages; `no_answer` without passages. `history` is not used."""
        quotes = quote(question, passages[:PASSAGES]) or [self._answering.no_answer]
        for i, text in enumerate(quotes):
            yield Delta(text if i == 0 else f"\n\n{text}")
            await asyncio.sleep(0)  # lets the first quote leave before the last is written
        yield Delta("", "stop", Usage())

    async def close(self) -> None:
        """Nothing is held."""


def quote(question: str, passages: Sequence[Passage]) -> list[str]:
    """Up to QUOTES sentences with their citations, "… [1]"; the best passage's first sentence if no word is shared."""
    sentences = [one for number, passage in enumerate(passages, start=1) for one in _sentences(number, passage.text)]
    if not sentences:
        return []
    asked = _words(question)
    frequency = Counter(word for sentence in sentences for word in sentence.words & asked)
    rarity = {word: math.log(1 + len(sentences) / count) for word, count in frequency.items()}

    def score(sentence: _Sentence) -> float:
        overlap = sum(rarity[word] for word in sentence.words & asked)
        # A long sentence shares words by chance: 20 words count fully, 80 by 0.7.
        length = 1 + math.log(max(len(sentence.words), 20) / 20) / 4
        return overlap / length * _RANK_DISCOUNT ** (sentence.number - 1)

    ranked = sorted(sentences, key=lambda sentence: (-score(sentence), sentence.number, sentence.order))
    best = score(ranked[0])
    chosen = [one for one in ranked[:QUOTES] if score(one) >= best / 2 and score(one) > 0] or sentences[:1]
    chosen.sort(key=lambda sentence: (sentence.number, sentence.order))
    return [f"{sentence.text} [{sentence.number}]" for sentence in chosen]


def _sentences(number: int, text: str) -> list[_Sentence]:
    """A passage's sentences, fragments of fewer than three words left out unless there is nothing else."""
    found: dict[str, _Sentence] = {}
    for order, piece in enumerate(_SENTENCE.split(text)):
        plain = _cut(" ".join(piece.split()))
        if plain:
            found.setdefault(plain, _Sentence(plain, number, order, _words(plain)))
    whole = [sentence for sentence in found.values() if len(_WORD.findall(sentence.text)) >= 3]
    return whole or list(found.values())


def _cut(text: str) -> str:
    return text if len(text) <= MAX_QUOTE else text[:MAX_QUOTE].rsplit(" ", 1)[0] + " …"


def _words(text: str) -> frozenset[str]:
    """Lower-case words without the most common ones, plural and verb endings cut."""
    return frozenset(_stem(word) for word in _WORD.findall(text.lower()) if word not in _STOP)


def _stem(word: str) -> str:
    for ending in ("ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
