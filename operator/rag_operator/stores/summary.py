"""What a tenant's catalog row sums up of its ingestion: figures of our functions, and reports of the runs themselves.

A tenant's ingestion login may report anything. Whatever does not read as a report is taken for none, so that it costs
that tenant its figures and nothing else.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from rag_operator.api.common import StatusModel
from rag_operator.api.tenant import BuildingRevision, LastIngestion

MOST = 2**53
"""Whole numbers from here on are none that JSON's readers agree on."""
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class Outcome(StatusModel):
    """How the run that ended last ended, and what it had read."""

    succeeded: bool = True
    message: str = ""
    config: str = ""
    """Digest of the configuration that it ingested."""
    started_at: str = ""


class Figures(StatusModel):
    """Of one revision, when a run last counted."""

    revision: int
    documents: int = 0
    chunks: int = 0
    bytes: int = 0


def _or_none(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        found = read(value)
    except ValidationError:
        return None
    return found if found is None or _fits(found) else None


def _fits(report: BaseModel) -> bool:
    """Whether the API server takes it in a status: its numbers and times."""
    fields = vars(report)
    numbers = (value for value in fields.values() if isinstance(value, int))
    times = (value for name, value in fields.items() if name.endswith("_at") and value)
    return all(0 <= number < MOST for number in numbers) and all(map(_is_time, times))


def _is_time(text: str) -> bool:
    try:
        return _RFC_3339.fullmatch(text) is not None and bool(datetime.fromisoformat(text))
    except ValueError:
        return False


R = TypeVar("R", bound=BaseModel)
Reported = Annotated[R | None, WrapValidator(_or_none)]


class Summary(StatusModel):
    """Of one tenant; `figures` are those of the revision that is asked for."""

    last_ingestion: Reported[LastIngestion] = None
    """What the run that ended last did."""
    outcome: Reported[Outcome] = Field(default=None, alias="lastIngestion")
    building: Reported[BuildingRevision] = None
    index: Reported[Figures] = None
    active: Reported[Figures] = None
    ready: Reported[Figures] = None
    dead_letters: int = 0
    promoted_at: str | None = None

    def ended(self) -> Outcome:
        """How the run that ended last ended; nothing was read where none has."""
        return self.outcome or Outcome()

    def figures(self, revision: int) -> Figures:
        """What was counted of a revision last; zeros before a run has counted."""
        known = (one for one in (self.index, self.active, self.ready) if one and one.revision == revision)
        return next(known, Figures(revision=revision))
