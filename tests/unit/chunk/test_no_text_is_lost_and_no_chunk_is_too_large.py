from __future__ import annotations

import random
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_runtime.contract.config import Chunking
from rag_runtime.ingest.chunk import Chunk, chunk
from rag_runtime.ingest.parse import Parsed, Section
from rag_runtime.models.tokenizer import builtin_tokenizer

TOKENIZER = builtin_tokenizer()
# What borders and tokenizers stumble over: spaces that only one of both knows, marks without width, scripts without
# spaces, letters that are several tokens, words beyond the tokenizer's 100 characters, runs of punctuation.
SPACES = ["\n", "\n\n", "\n \n\t", "  ", "\x1f", "\u200b", "\u3000", "\r\n", "\x85"]
WORDS = ["word", "unaffable", "Pump.", "e.g. this", '? "Yes."', "a/b/c-d_e", "1,234.5", "x" * 130, "ab1" * 60, "." * 30]
SIGNS = ["\u00e9", "e\u0301", "\uac01" * 9, "\u65e5\u672c\u8a9e\u3002", "\U0001f600" * 3, "\x00", "\ufffd"]
MORE_SIGNS = ["\u0e01" * 40, "\u0130", "\ufdfa", "\U0001d15e" * 20, "\uac01" * 60]
PIECES = st.sampled_from(SPACES + WORDS + SIGNS + MORE_SIGNS)
TEXTS = st.one_of(st.lists(PIECES, max_size=120).map("".join), st.text(max_size=400))


@st.composite
def documents(draw: st.DrawFn) -> Parsed:
    text = draw(TEXTS)
    cuts = draw(st.lists(st.integers(0, len(text)), max_size=4))
    starts = sorted({0, *cuts})
    ends = [*starts[1:], len(text)]
    names = [("Top",), ("Top", "A"), (), ("Top", "B"), ("Other",)]
    found = (Section(names[i % 5], a, b) for i, (a, b) in enumerate(zip(starts, ends, strict=True)))
    return Parsed("t", text, "text/plain", tuple(found))


CHUNKINGS = st.builds(Chunking, size=st.integers(16, 60), overlap=st.integers(0, 70))


@settings(max_examples=400, deadline=None)
@given(documents(), CHUNKINGS)
def test_every_character_is_in_a_chunk_and_every_chunk_fits(parsed: Parsed, chunking: Chunking) -> None:
    chunks = chunk(parsed, chunking, TOKENIZER)
    covered = [False] * len(parsed.text)
    for one in chunks:
        covered[one.start : one.end] = [True] * (one.end - one.start)
    lost = [c for c, there in zip(parsed.text, covered, strict=True) if not there and not c.isspace()]
    assert lost == []
    for ordinal, one in enumerate(chunks):
        assert one.ordinal == ordinal
        assert one.text == parsed.text[one.start : one.end]
        assert one.text == one.text.strip() != ""
        assert one.tokens <= chunking.size
        assert one.tokens == TOKENIZER.count(one.text)


@settings(max_examples=200, deadline=None)
@given(documents(), CHUNKINGS)
def test_neighbours_share_no_more_than_the_overlap(parsed: Parsed, chunking: Chunking) -> None:
    chunks = chunk(parsed, chunking, TOKENIZER)
    for before, after in pairwise(chunks):
        assert before.start < after.start
        assert before.end < after.end
        if after.start < before.end:
            shared = parsed.text[after.start : before.end]
            assert TOKENIZER.count(shared) <= min(chunking.overlap, chunking.size // 2)


def whole(text: str) -> Parsed:
    return Parsed("t", text, "text/plain", (Section((), 0, len(text)),))


def seconds(text: str) -> tuple[float, list[Chunk]]:
    begun = time.process_time()
    found = chunk(whole(text), Chunking(), TOKENIZER)
    return time.process_time() - begun, found


ENGLISH = "The relief valve opens at eight bar. Inspect it every twelve months, and note the pressure.\n\n"
SHAPES = {
    "paragraphs": ENGLISH,
    "one line": ENGLISH.replace("\n", " "),
    "one word": "x",
    "full stops": ".",
    "empty lines": "\n",
    "no spaces": "\u65e5\u672c\u8a9e\u30c6\u30ad\u30b9\u30c8",
    "quotes": '."',
}


@pytest.mark.parametrize("shape", SHAPES)
def test_time_is_linear_in_the_text_whatever_its_shape(shape: str) -> None:
    piece = SHAPES[shape]
    small, large = (piece * (size // len(piece)) for size in (20_000, 160_000))
    chunk(whole(piece * 100), Chunking(), TOKENIZER)
    once, _ = seconds(small)
    eight_times, _ = seconds(large)
    assert eight_times < 8 * once * 3 + 0.3


def test_a_text_without_a_border_is_cut_and_kept() -> None:
    base64 = "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyzABCDEF0123456789+", k=20_000))
    chunks = chunk(whole(base64), Chunking(size=64, overlap=0), TOKENIZER)
    assert "".join(one.text for one in chunks) == base64
    assert max(one.tokens for one in chunks) <= 64


def test_nothing_but_space_gives_no_chunk() -> None:
    assert chunk(whole(""), Chunking(), TOKENIZER) == []
    assert chunk(whole(" \n\t \n"), Chunking(), TOKENIZER) == []
