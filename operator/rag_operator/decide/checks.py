"""The outcome of looking at one part of a resource: holds, does not, or not yet known, with a reason and a sentence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rag_operator.api.conditions import Reason


@dataclass(frozen=True, slots=True)
class Check:
    """One part's state. `ok` None: on the way."""

    ok: bool | None
    reason: Reason
    message: str

    @property
    def blocked(self) -> bool:
        """Whether a person, or something outside, must mend it."""
        return self.ok is False


GOOD = Check(True, Reason.AS_EXPECTED, "")
RECONCILING = Check(None, Reason.RECONCILING, "not looked at yet")


def first_trouble(checks: Iterable[Check]) -> Check | None:
    """The first that is blocked, else the first that is on the way, else None."""
    seen = list(checks)
    return next((c for c in seen if c.blocked), None) or next((c for c in seen if c.ok is None), None)
