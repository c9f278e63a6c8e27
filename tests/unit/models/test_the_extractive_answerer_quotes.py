from __future__ import annotations

from rag_runtime.contract.config import Answering
from rag_runtime.models.extractive import MAX_QUOTE, ExtractiveAnswerer, quote
from rag_runtime.models.ports import Passage, Usage

VALVE = Passage("The pump is blue. The relief valve opens at eight bar. It was made in Ghent.")
CARE = Passage("Clean the filter. Inspect the relief valve every twelve months.")


def test_the_sentence_that_shares_the_question_s_words_is_quoted_with_its_number() -> None:
    assert quote("At which pressure does the relief valve open?", [CARE, VALVE])[-1] == (
        "The relief valve opens at eight bar. [2]"
    )
    assert quote("How often are filters cleaned?", [VALVE, CARE]) == ["Clean the filter. [2]"]


def test_a_rare_word_counts_more_than_a_common_one() -> None:
    passages = [Passage("The valve is red. The valve is old. The valve is made in Ghent.")]
    assert quote("Is the valve from Ghent?", passages)[0].startswith("The valve is made in Ghent.")


def test_quotes_stand_in_the_order_of_the_passages_and_are_few() -> None:
    quotes = quote("relief valve", [VALVE, CARE, VALVE, CARE, VALVE])
    assert len(quotes) == 3
    numbers = [int(text[-2]) for text in quotes]
    assert numbers == sorted(numbers)


def test_without_a_shared_word_the_best_passage_begins() -> None:
    assert quote("Wo?", [VALVE, CARE]) == ["The pump is blue. [1]"]


def test_a_long_sentence_is_cut_at_a_word() -> None:
    [text] = quote("pump", [Passage("pump " * 500)])
    assert len(text) < MAX_QUOTE + 10
    assert text.endswith("pump … [1]")


async def test_an_answer_is_streamed_a_quote_at_a_time_and_ends_with_its_usage() -> None:
    answerer = ExtractiveAnswerer(Answering())
    found = [delta async for delta in answerer.stream("relief valve", [VALVE, CARE])]
    text = "".join(delta.text for delta in found)
    assert text == ("The relief valve opens at eight bar. [1]\n\nInspect the relief valve every twelve months. [2]")
    assert len(found) == 3
    assert (found[-1].finish, found[-1].usage) == ("stop", Usage())


async def test_without_passages_it_says_that_it_does_not_know() -> None:
    answerer = ExtractiveAnswerer(Answering(no_answer="No idea."))
    assert [delta.text async for delta in answerer.stream("valve", [])] == ["No idea.", ""]
    assert [delta.text async for delta in answerer.stream("valve", [Passage(" ")])] == ["No idea.", ""]
