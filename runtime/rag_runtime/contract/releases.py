"""What each line of releases speaks: its configuration document, and the schemas that it reads and writes.

All releases of a minor version speak alike; a new minor version adds a line. The operator looks here before it runs
pods of another version than its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """The releases of one minor version: the version of the configuration document, and those of the two schemas."""

    minor: tuple[int, int]
    contract: int
    catalog: int
    tenant: int


LINES = (Line((0, 1), contract=1, catalog=1, tenant=1),)
"""The oldest first. The last is this release's own."""


def minor_of(version: str) -> tuple[int, int] | None:
    """Major and minor number of `1.2.3` and whatever follows; None for what begins otherwise (`dev`)."""
    found = re.match(r"(\d+)\.(\d+)\.\d", version)
    return (int(found[1]), int(found[2])) if found else None


def line_of(version: str, lines: Iterable[Line] = LINES) -> Line | None:
    """The line that a version belongs to, or None where this release knows of none."""
    return next((line for line in lines if line.minor == minor_of(version)), None)
