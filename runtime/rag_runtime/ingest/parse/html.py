"""HTML: the text that a reader sees, without navigation and scripts; headings become sections.

The tree is walked without recursion, within bounds on its nodes and depth, so that nesting and size cost time and
memory in proportion to the bytes; what the parser itself makes of hostile markup is the sandbox's deadline's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from rag_runtime.ingest.parse.base import Parsed, ParseError
from rag_runtime.ingest.parse.decode import decode
from rag_runtime.ingest.parse.outline import Outline
from rag_runtime.ingest.parse.text import refuse_binary

MAX_NODES = 2_000_000
"""Their tree takes 500 MB (measured), half of what the worker gets; 10 MB of ordinary markup have 750,000."""
MAX_DEPTH = 512
"""As deep as browsers build a tree before they flatten it (Blink's limit)."""
MAX_LINKS = 20_000

_DROPPED_NAMES = "script style nav footer template noscript svg iframe object button select textarea head title"
_DROPPED = frozenset(_DROPPED_NAMES.split())
_INLINE_NAMES = """
a abbr b bdi bdo big cite code data del dfn em font i img ins kbd label mark q s samp small span strike strong sub
sup time tt u var wbr
"""
_INLINE = frozenset(_INLINE_NAMES.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_SPACES = re.compile(r"[^\S\n]*\n[^\S\n]*|[^\S\n]+")


def parse_html(body: bytes, path: str, media_type: str | None) -> Parsed:
    """Visible text, title and link targets. Raises ParseError for a page beyond MAX_NODES or MAX_DEPTH."""
    refuse_binary(body, path)
    tree = LexborHTMLParser(decode(body, path, media_type, html=True))
    title = tree.css_first("head > title")
    outline = Outline(path)
    if tree.root is not None:
        _Writer(outline).write(tree.root, path)
    return outline.finish(title.text() if title is not None else "", "text/html", _links(tree))


def html_text(fragment: str) -> str:
    """The visible text of a fragment, as it occurs within Markdown."""
    outline = Outline("fragment")
    root = LexborHTMLParser(fragment).root
    if root is not None:
        _Writer(outline).write(root, "fragment")
    return outline.finish("", "text/html").text


def _links(tree: LexborHTMLParser) -> tuple[str, ...]:
    """Targets of the page's anchors as written, each once, in order, at most MAX_LINKS; navigation counts here."""
    targets = (node.attributes.get("href") for node in tree.css("a[href]"))
    return tuple(dict.fromkeys(target.strip() for target in targets if target))[:MAX_LINKS]


def _walk(root: LexborNode, path: str) -> Iterator[tuple[LexborNode, bool]]:
    """Every node that is not dropped, depth first, with False when it is entered and True when an element is left."""
    node: LexborNode | None = root
    depth = count = 0
    while node is not None:
        count += 1
        if count > MAX_NODES or depth > MAX_DEPTH:
            raise ParseError(
                "TooComplex",
                f"{path}: the page has more than {MAX_NODES} nodes or {MAX_DEPTH} levels; simplify or exclude it",
            )
        dropped = node.tag in _DROPPED
        if not dropped:
            yield node, False
        child = None if dropped else node.first_child
        if child is not None:
            node, depth = child, depth + 1
            continue
        if not dropped:
            yield node, True
        while node is not None and node.next is None:
            node, depth = (node.parent if depth > 0 else None), depth - 1
            if node is not None:
                yield node, True
        node = node.next if node is not None and depth >= 0 else None


class _Writer:
    """Gathers inline text until a block begins or ends."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._parts: list[str] = []
        self._preformatted = 0
        self._mark = ""
        self._tight = False

    def write(self, root: LexborNode, path: str) -> None:
        """Write every block below `root`."""
        for node, leaving in _walk(root, path):
            if node.is_text_node:
                if not leaving:
                    text = node.text_content or ""
                    self._parts.append(text if self._preformatted else _SPACES.sub(" ", text.replace("\n", " ")))
            elif leaving:
                self._leave(node.tag or "")
            else:
                self._enter(node.tag or "")
        self._flush()

    def _enter(self, tag: str) -> None:
        if tag == "br":
            self._parts.append("\n")
        elif tag in {"td", "th"}:
            self._parts.append(" | " if self._text() else "")
        elif tag not in _INLINE:
            self._flush()
            self._tight = tag in {"li", "tr", "dd"}
            self._mark = "- " if tag == "li" else ""
        self._preformatted += tag == "pre"

    def _leave(self, tag: str) -> None:
        if tag in _HEADINGS:
            self._outline.heading(_HEADINGS[tag], self._text())
            self._parts.clear()
        elif tag not in _INLINE and tag not in {"br", "td", "th"}:
            self._flush()
        self._preformatted -= tag == "pre"

    def _text(self) -> str:
        text = "".join(self._parts)
        return text if self._preformatted else _SPACES.sub(_one_space, text).strip()

    def _flush(self) -> None:
        text = self._text()
        if text.strip():
            self._outline.block(self._mark + text, tight=self._tight)
            self._mark, self._tight = "", False
        self._parts.clear()


def _one_space(match: re.Match[str]) -> str:
    return "\n" if "\n" in match.group() else " "
