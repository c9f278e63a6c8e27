from __future__ import annotations

import time

import pytest

from rag_runtime.ingest.sources.globs import selector


@pytest.mark.parametrize(
    ("pattern", "path", "taken"),
    [
        ("*.md", "a.md", True),
        ("*.md", "deep/er/a.md", True),
        ("*.md", "a.mdx", False),
        ("/*.md", "a.md", True),
        ("/*.md", "deep/a.md", False),
        ("docs/*.md", "docs/a.md", True),
        ("docs/*.md", "docs/b/a.md", False),
        ("docs/**", "docs/b/a.md", True),
        ("docs/**", "docs2/a.md", False),
        ("**/*.md", "a.md", True),
        ("**/*.md", "x/y/a.md", True),
        ("**/b/**/*.md", "a/b/a.md", True),
        ("**/b/**/*.md", "a/c/a.md", False),
        ("**", "anything/at/all", True),
        ("a?.txt", "ab.txt", True),
        ("[ab].txt", "b.txt", True),
        ("a.c", "abc", False),
        ("/help/**", "/help/intro", True),
    ],
)
def test_a_pattern_takes_what_it_says(pattern: str, path: str, taken: bool) -> None:
    assert selector([pattern], [])(path) is taken
    assert selector([], [pattern])(path) is not taken


def test_without_patterns_everything_is_taken() -> None:
    assert selector([], [])("a/b")


def test_a_hostile_pattern_takes_no_exponential_time() -> None:
    begun = time.monotonic()
    assert not selector(["*a" * 30 + "b", "**/" * 30 + "x"], [])("/".join(["a" * 200] * 30))
    assert time.monotonic() - begun < 1
