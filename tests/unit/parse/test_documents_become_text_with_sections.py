from __future__ import annotations

import pytest

from rag_runtime.ingest.parse import Parsed, UnsupportedMedia, extractor_for, parse

MARKDOWN = b"""---
title: Pump manual
tags: [a, b]
---
Read *this* first.

# Installation
See [the map](https://example.com/map) and `make install`.

- one
- two
  - inner

## Requirements
```sh
# not a heading
apt install   pump
```

| part | number |
|------|--------|
| seal | 42     |

Operation
=========
Start it.
"""

HTML = b"""<!doctype html><html><head><title>Pump &amp; valve</title><style>p { color: red }</style></head>
<body><nav><a href="/home">Home</a></nav><script>alert("no")</script>
<h1>Valve</h1><p>Turn   it
<b>clock</b>wise.<br>Slowly.</p><h2>Care</h2><ul><li>Oil it<li>Wipe it</ul><pre>  a
    b</pre><table><tr><td>seal<td>42</table><a href="next.html">on</a>
<footer>imprint</footer></body></html>"""


def outline(parsed: Parsed) -> list[tuple[str, str]]:
    return [(" > ".join(s.heading_path), parsed.text[s.start : s.end].strip()) for s in parsed.sections]


def test_markdown_loses_its_marks_and_keeps_its_code() -> None:
    parsed = parse(MARKDOWN, "pump.md", None)
    assert parsed.title == "Pump manual"
    assert outline(parsed) == [
        ("", "Read this first."),
        ("Installation", "Installation\n\nSee the map and make install.\n- one\n- two\n  - inner"),
        (
            "Installation > Requirements",
            "Requirements\n\n# not a heading\napt install   pump\n\npart | number\nseal | 42",
        ),
        ("Operation", "Operation\n\nStart it."),
    ]


def test_html_keeps_what_a_reader_sees() -> None:
    parsed = parse(HTML, "valve.html", None)
    assert parsed.title == "Pump & valve"
    assert outline(parsed) == [
        ("Valve", "Valve\n\nTurn it clockwise.\nSlowly."),
        ("Valve > Care", "Care\n- Oil it\n- Wipe it\n\n  a\n    b\nseal | 42\n\non"),
    ]
    assert parsed.links == ("/home", "next.html")


def test_plain_text_is_one_section_with_uniform_line_ends() -> None:
    parsed = parse(b"one\r\ntwo\rthree\n", "notes/todo", None)
    assert (parsed.title, parsed.text) == ("todo", "one\ntwo\nthree")
    assert outline(parsed) == [("", "one\ntwo\nthree")]


@pytest.mark.parametrize(
    ("body", "path"),
    [(MARKDOWN, "a.md"), (HTML, "a.html"), (b"text", "a.txt"), (b"", "a.md"), (b"# only", "a.md"), (b"", "a.html")],
)
def test_sections_lie_end_to_end_and_cover_the_text(body: bytes, path: str) -> None:
    parsed = parse(body, path, None)
    assert [s.start for s in parsed.sections] == [0, *(s.end for s in parsed.sections[:-1])]
    assert parsed.sections[-1].end == len(parsed.text)


def test_the_media_type_decides_before_the_suffix_unless_it_says_nothing() -> None:
    assert parse(b"<p>x</p>", "https://example.com/page.php?a=b.pdf", "text/html; charset=utf-8").text == "x"
    assert parse(b"# x", "https://example.com/raw/x.md", "text/plain").title == "x"
    assert parse(b"# x", "x.md", "application/octet-stream").title == "x"
    assert parse(b'{"a": 1}', "https://example.com/a", "application/json").text == '{"a": 1}'


@pytest.mark.parametrize(
    ("path", "media_type"), [("a.png", None), ("a.docx", None), ("a", "image/png"), ("a.md", "video/mp4")]
)
def test_types_that_are_not_text_are_unsupported(path: str, media_type: str | None) -> None:
    with pytest.raises(UnsupportedMedia, match="exclude it"):
        parse(b"anything", path, media_type)
    assert extractor_for(path, media_type) == "unsupported/1"


@pytest.mark.parametrize("path", ["a.txt", "a.md", "a.html", "a"])
def test_binary_bytes_under_the_name_of_a_text_are_unsupported(path: str) -> None:
    with pytest.raises(UnsupportedMedia, match="binary"):
        parse(b"\x7fELF\x02\x01\x01\x00\x00", path, None)


def test_every_kind_has_an_extractor_version() -> None:
    found = [extractor_for(path, None) for path in ("a.md", "a.html", "a.txt", "a", "a.pdf")]
    assert found == ["markdown/1", "html/1", "text/1", "text/1", "pdf/1"]


def test_what_postgres_refuses_in_text_is_replaced() -> None:
    late_nul = b"x" * 9000 + b"\0 end"
    assert parse(late_nul, "a.txt", None).text.endswith("x\ufffd end")
    assert parse(b"<p>a&#0;b&#xD800;c</p>", "a.html", None).text == "a\ufffdb\ufffdc"


@pytest.mark.parametrize(
    "front_matter", [b"--- \ntitle: x\n", b"---\ntitle: x\n", b"---\n: [\n---\n", b"---\ntitle: [1]\n---\n"]
)
def test_front_matter_that_is_none_costs_no_document(front_matter: bytes) -> None:
    assert "body" in parse(front_matter + b"\nbody", "a.md", None).text
