"""What the API server refuses to do for us, as a check that a person reads."""

from __future__ import annotations

from rag_operator.api.conditions import Reason
from rag_operator.decide.checks import Check
from rag_operator.kube.apply import FormerChildError, NameTakenError
from rag_operator.kube.errors import RefusedError

Refusal = NameTakenError | FormerChildError | RefusedError
REFUSALS = (NameTakenError, FormerChildError, RefusedError)


def refusal(error: Refusal) -> Check:
    """A child's name is another's, or admission, quota or RBAC said no: in the server's own words."""
    if isinstance(error, NameTakenError):
        return Check(False, Reason.NAME_TAKEN, str(error))
    if isinstance(error, FormerChildError):
        return Check(None, Reason.WAITING, str(error))
    return Check(False, Reason.REFUSED, f"the API server refused: {error}")
