from __future__ import annotations

import codecs

import pytest

from rag_runtime.ingest.parse import ParseError, parse

TEXT = "Überdruck, naïve, 日本語"


def text_of(body: bytes, media_type: str | None = None, path: str = "a.txt") -> str:
    return parse(body, path, media_type).text


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_a_byte_order_mark_is_believed_and_dropped(mark: bytes, encoding: str) -> None:
    assert text_of(mark + TEXT.encode(encoding)) == TEXT


def test_an_encoding_that_the_source_states_is_used_where_utf_8_fails() -> None:
    body = "Überdruck, naïve".encode("iso-8859-1")
    assert text_of(body, "text/plain; charset=iso-8859-1") == "Überdruck, naïve"
    page = b'<html><head><meta charset="windows-1252"></head><body>na\xefve \x80</body></html>'
    assert text_of(page, "text/html", "a.html") == "naïve €"


def test_utf_8_wins_over_a_wrong_statement() -> None:
    assert text_of(TEXT.encode(), "text/plain; charset=iso-8859-1") == TEXT


def test_a_stray_byte_in_a_long_text_is_replaced() -> None:
    assert text_of(b"word " * 100 + b"\xff").endswith("word \ufffd")


def test_text_in_another_encoding_is_refused_with_a_sentence() -> None:
    with pytest.raises(ParseError, match=r"a\.txt: .* not UTF-8; convert it to UTF-8") as caught:
        text_of("äöü ".encode("iso-8859-1") * 20)
    assert caught.value.reason == "InvalidEncoding"


@pytest.mark.parametrize("name", ["hex", "zlib", "no-such", "undefined", "rot13"])
def test_an_encoding_that_is_none_of_text_is_not_used(name: str) -> None:
    with pytest.raises(ParseError):
        text_of(b"\xe4\xf6\xfc", f"text/plain; charset={name}")
