"""Markdown (CommonMark with tables): headings become sections, marks vanish, code stays as it is."""

from __future__ import annotations

from collections.abc import Sequence

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from rag_runtime.ingest.parse.base import Parsed
from rag_runtime.ingest.parse.decode import decode
from rag_runtime.ingest.parse.html import html_text
from rag_runtime.ingest.parse.outline import Outline
from rag_runtime.ingest.parse.text import refuse_binary

MAX_FRONT_MATTER = 64 * 1024


def parse_markdown(body: bytes, path: str, media_type: str | None) -> Parsed:
    """Text without marks, link targets and front matter; the title is the front matter's, else the first heading."""
    refuse_binary(body, path)
    source = decode(body, path, media_type).replace("\r\n", "\n")
    title, source = _front_matter(source)
    outline = Outline(path)
    _Writer(outline).write(MarkdownIt("commonmark").enable("table").parse(source))
    return outline.finish(title, "text/markdown")


def _front_matter(source: str) -> tuple[str, str]:
    """The title of a leading YAML block between lines of three dashes, and the source without that block."""
    if not source.startswith("---\n"):
        return "", source
    end = source.find("\n---", 3, MAX_FRONT_MATTER)
    if end < 0:
        return "", source
    try:
        fields = yaml.safe_load(source[4 : end + 1])
    except yaml.YAMLError:
        return "", source
    rest = source[end + 4 :].partition("\n")[2]
    title = fields.get("title") if isinstance(fields, dict) else None
    return (title if isinstance(title, str) else ""), rest


class _Writer:
    """Turns the parser's flat token stream into blocks."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._heading = 0
        self._lists: list[int | None] = []
        """Open lists: the number that the next item gets, None for a bullet list."""
        self._mark = ""
        self._row: list[str] | None = None
        self._rows = 0

    def write(self, tokens: Sequence[Token]) -> None:
        """Write every block of a document."""
        for token in tokens:
            match token.type:
                case "heading_open":
                    self._heading = int(token.tag[1:])
                case "inline":
                    self._inline(_plain(token.children or ()))
                case "fence" | "code_block":
                    self._outline.block(token.content)
                case "html_block":
                    self._outline.block(html_text(token.content))
                case "tr_open":
                    self._row = []
                case "tr_close":
                    self._outline.block(" | ".join(self._row or ()), tight=self._rows > 0)
                    self._row, self._rows = None, self._rows + 1
                case "table_open":
                    self._rows = 0
                case _:
                    self._list(token)

    def _inline(self, text: str) -> None:
        if self._row is not None:
            self._row.append(text)
        elif self._heading:
            self._outline.heading(self._heading, text)
            self._heading = 0
        else:
            indent = "  " * (len(self._lists) - 1)
            self._outline.block(indent + self._mark + text if self._lists else text, tight=bool(self._lists))
            self._mark = ""

    def _list(self, token: Token) -> None:
        match token.type:
            case "bullet_list_open":
                self._lists.append(None)
            case "ordered_list_open":
                self._lists.append(int(token.attrGet("start") or 1))
            case "bullet_list_close" | "ordered_list_close":
                self._lists.pop()
            case "list_item_open":
                number = self._lists[-1]
                self._mark = "- " if number is None else f"{number}. "
                self._lists[-1] = None if number is None else number + 1
            case _:
                pass  # paragraphs, quotes and table parts carry no text of their own


def _plain(children: Sequence[Token]) -> str:
    """Text of an inline token's children: code as it is, images by their description, tags and targets dropped."""
    parts: list[str] = []
    for child in children:
        match child.type:
            case "text" | "code_inline" | "text_special":
                parts.append(child.content)
            case "softbreak" | "hardbreak":
                parts.append("\n")
            case "image":
                parts.append(child.content)
            case _:
                pass
    return "".join(parts)
