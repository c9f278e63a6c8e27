"""Which paths a source takes: include and exclude patterns.

`*` and `?` stay within one part of a path, `**` is any number of parts. A pattern without a slash is matched against
the last part, as in .gitignore: `*.md` takes Markdown files at every depth. Exclusion wins.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence

Matcher = Callable[[str], bool]
_Part = re.Pattern[str] | None
"""None stands for `**`."""


def selector(include: Sequence[str], exclude: Sequence[str]) -> Matcher:
    """A function that tells whether a path (parts separated by slashes) is taken; no include pattern takes all."""
    wanted = [_compile(pattern) for pattern in include]
    unwanted = [_compile(pattern) for pattern in exclude]

    def takes(path: str) -> bool:
        parts = path.strip("/").split("/")
        return (not wanted or any(_matches(one, parts) for one in wanted)) and not any(
            _matches(one, parts) for one in unwanted
        )

    return takes


def _compile(pattern: str) -> list[_Part]:
    """A pattern's parts. `fnmatch.translate` makes expressions that don't backtrack exponentially."""
    anchored = pattern.strip("/")
    names = anchored.split("/") if "/" in pattern else ["**", anchored]
    return [None if name == "**" else re.compile(fnmatch.translate(name)) for name in names]


def _matches(pattern: Sequence[_Part], parts: Sequence[str]) -> bool:
    """Whether all parts are consumed; time in proportion to parts times pattern, whatever the pattern."""
    reached = {0}
    for part in parts:
        reached = {n for i in _pass_any(pattern, reached) for n in _step(pattern, i, part)}
    return len(pattern) in _pass_any(pattern, reached)


def _pass_any(pattern: Sequence[_Part], reached: set[int]) -> set[int]:
    """Positions that are reached without a further part: `**` may stand for none."""
    passed = set(reached)
    for i in range(len(pattern)):
        if i in passed and pattern[i] is None:
            passed.add(i + 1)
    return passed


def _step(pattern: Sequence[_Part], i: int, part: str) -> tuple[int, ...]:
    """Positions after `part` was read at position i."""
    if i >= len(pattern):
        return ()
    expected = pattern[i]
    if expected is None:
        return (i,)
    return (i + 1,) if expected.match(part) else ()
