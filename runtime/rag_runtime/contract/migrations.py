"""The steps that bring schemas of earlier releases to today's, the oldest first.

A release that changes a schema raises its version by one and adds one step here. A step only adds (expand): until no
release that may still run uses it, nothing is taken away, so that the release before reads and writes what this one
left, and the reverse (DATA §8). What is taken away is the matter of a later step.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """Brings a schema from the version before to `version`.

    `expand` is DDL that may be run twice (IF NOT EXISTS, OR REPLACE). `fill` changes a bounded number of rows, and
    none once all are filled; it is run again and again, each time in a transaction of its own. Names are written as in
    the schema's own DDL: `{c}`, and for a tenant's schema `{s}`, `{login}` and `{reader}` too.
    """

    version: int
    expand: str
    fill: str = ""


CATALOG_STEPS: tuple[Step, ...] = ()
TENANT_STEPS: tuple[Step, ...] = ()
