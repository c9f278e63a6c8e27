from __future__ import annotations

from itertools import pairwise

from rag_runtime.contract.config import Chunking
from rag_runtime.ingest.chunk import Chunk, chunk
from rag_runtime.ingest.parse import Parsed, Section, parse
from rag_runtime.models.tokenizer import builtin_tokenizer


def cut(text: str, size: int, overlap: int = 0) -> list[Chunk]:
    parsed = Parsed("t", text, "text/plain", (Section((), 0, len(text)),))
    return chunk(parsed, Chunking(size=size, overlap=overlap), builtin_tokenizer())


def texts(chunks: list[Chunk]) -> list[str]:
    return [one.text for one in chunks]


def sentence(word: str, words: int = 5) -> str:
    return " ".join([word] * words) + "."


def test_a_text_that_fits_is_one_chunk() -> None:
    assert texts(cut("one two.\n\nthree four.", 16)) == ["one two.\n\nthree four."]


def test_paragraphs_are_kept_whole_and_small_ones_merged() -> None:
    one, two, three = (sentence(word) for word in ("pump", "valve", "seal"))
    text = f"{one}\n\n{two}\n\n{three}"
    assert texts(cut(text, 16)) == [f"{one}\n\n{two}", three]


def test_a_paragraph_border_wins_over_a_later_sentence() -> None:
    text = f"{sentence('pump', 9)}\n\n{sentence('seal', 3)} {sentence('valve', 9)}"
    assert texts(cut(text, 16)) == [sentence("pump", 9), f"{sentence('seal', 3)} {sentence('valve', 9)}"]


def test_a_paragraph_border_that_would_waste_most_of_the_size_does_not_win() -> None:
    text = f"{sentence('pump', 2)}\n\n{sentence('seal', 9)} {sentence('valve', 9)}"
    assert texts(cut(text, 16)) == [f"{sentence('pump', 2)}\n\n{sentence('seal', 9)}", sentence("valve", 9)]


def test_lines_then_sentences_then_words_are_cut_when_nothing_better_is_there() -> None:
    lines = "\n".join("pump " * 6 + "x" for _ in range(4))
    assert texts(cut(lines, 16)) == ["\n".join(["pump pump pump pump pump pump x"] * 2)] * 2
    sentences = " ".join(sentence(word, 9) for word in ("pump", "valve"))
    assert texts(cut(sentences, 16)) == [sentence("pump", 9), sentence("valve", 9)]
    assert texts(cut("pump " * 40, 16)) == ["pump " * 15 + "pump", "pump " * 15 + "pump", "pump " * 7 + "pump"]


def test_the_overlap_begins_at_a_sentence() -> None:
    one, two, three = (sentence(word, 6) for word in ("pump", "valve", "seal"))
    assert texts(cut(f"{one} {two} {three}", 16, 8)) == [f"{one} {two}", f"{two} {three}"]


def test_the_overlap_begins_at_a_word_where_no_sentence_is_near() -> None:
    words = " ".join(["alpha", "bravo", "charlie", "delta", "echo"] * 6)
    chunks = cut(words, 16, 4)
    for before, after in pairwise(chunks):
        shared = words[after.start : before.end]
        assert shared
        assert not shared.startswith(" ")
        assert words[after.start - 1] == " "


MANUAL = f"""# Pump
{sentence("pump", 8)}

## Start
{sentence("open", 8)}

## Stop
{sentence("close", 8)}

# Valve
x
"""


def test_a_section_s_end_ends_a_chunk_and_names_it() -> None:
    chunks = chunk(parse(MANUAL.encode(), "m.md", None), Chunking(size=40, overlap=10), builtin_tokenizer())
    assert [(one.heading, one.text.split("\n")[0]) for one in chunks] == [
        ("Pump", "Pump"),
        ("Pump > Start", "Start"),
        ("Pump > Stop", "Stop"),
        ("Valve", "Valve"),
    ]
    assert not any("pump pump" in one.text for one in chunks[1:]), "no overlap across a section's end"


def test_a_section_too_small_to_stand_alone_is_joined_with_the_next_under_what_both_share() -> None:
    text = f"# Pump\n\n## Start\n{sentence('open', 8)}\n\n## Stop\n{sentence('close', 8)}"
    chunks = chunk(parse(text.encode(), "m.md", None), Chunking(size=40, overlap=0), builtin_tokenizer())
    assert [one.heading for one in chunks] == ["Pump", "Pump > Stop"]
    assert chunks[0].text.startswith("Pump\n\nStart\n\nopen")
