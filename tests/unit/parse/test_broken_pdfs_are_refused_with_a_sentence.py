from __future__ import annotations

from pathlib import Path

import pytest

from rag_runtime.ingest.parse import ParseError, parse
from tests.unit.parse.pdfs import encrypted, pdf

WHOLE = pdf("The pump must be primed", "Close the valve first", title="Pump manual")
DOCUMENTS = Path(__file__).parents[2] / "data" / "documents"


def refusal(body: bytes) -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse(body, "manuals/pump.pdf", None)
    assert caught.value.message.startswith("manuals/pump.pdf: ")
    return caught.value


def test_a_whole_pdf_gives_its_text_by_page() -> None:
    parsed = parse(WHOLE, "pump.pdf", None)
    assert parsed.title == "Pump manual"
    assert [(s.heading_path, parsed.text[s.start : s.end].strip()) for s in parsed.sections] == [
        (("page 1",), "The pump must be primed"),
        (("page 2",), "Close the valve first"),
    ]


def test_a_pdf_without_a_title_is_named_after_its_file() -> None:
    assert parse(pdf("text"), "manuals/pump.pdf", None).title == "pump"


def test_an_empty_file_is_empty() -> None:
    error = refusal(b"")
    assert error.reason == "Empty"
    assert "0 bytes; upload it again" in error.message


def test_a_truncated_pdf_is_damaged_even_where_its_first_pages_could_be_read() -> None:
    for kept in (0.3, 0.6, 0.9, 0.99):
        error = refusal(WHOLE[: int(len(WHOLE) * kept)])
        assert error.reason == "Damaged"
        assert "truncated" in error.message


def test_a_pdf_with_a_password_is_encrypted() -> None:
    error = refusal(encrypted(WHOLE, "secret"))
    assert error.reason == "Encrypted"
    assert "save it without a password" in error.message


def test_a_pdf_that_opens_without_a_password_is_read() -> None:
    assert "primed" in parse(encrypted(WHOLE, ""), "pump.pdf", None).text


def test_a_pdf_of_pictures_says_that_it_needs_ocr() -> None:
    error = refusal(pdf(""))
    assert error.reason == "NoText"
    assert "OCR" in error.message


def test_something_else_under_the_name_of_a_pdf_is_damaged() -> None:
    assert refusal(b"PK\x03\x04 a zip file").reason == "Damaged"


def test_garbage_between_header_and_end_is_damaged() -> None:
    assert refusal(b"%PDF-1.4\n" + bytes(range(256)) * 40 + b"\n%%EOF\n").reason == "Damaged"


@pytest.mark.parametrize(
    ("name", "reason"), [("empty.pdf", "Empty"), ("truncated.pdf", "Damaged"), ("encrypted.pdf", "Encrypted")]
)
def test_the_broken_documents_of_the_test_data_are_what_they_say(name: str, reason: str) -> None:
    assert refusal((DOCUMENTS / name).read_bytes()).reason == reason
