"""What the API server refuses to do for us, as a check that a person reads."""

from __future__ import annotations

from rag_operator.api.conditions import Reason
from rag_operator.decide.checks import Check
from rag_operator.kube.apply import FormerChildError, NameTakenError
from rag_operator.kube.errors import ApiUnavailableError, RefusedError

Refusal = NameTakenError | FormerChildError | RefusedError | ApiUnavailableError
REFUSALS = (NameTakenError, FormerChildError, RefusedError)
OF_AN_EXTRA = (*REFUSALS, ApiUnavailableError)
"""What stops nothing else where it befalls a child that answers do without: a webhook of that kind may be down."""


def refusal(error: Refusal) -> Check:
    """A child's name is another's; admission, quota or RBAC said no; or nobody did: in the server's own words."""
    if isinstance(error, NameTakenError):
        return Check(False, Reason.NAME_TAKEN, str(error))
    if isinstance(error, FormerChildError):
        return Check(None, Reason.WAITING, str(error))
    if isinstance(error, ApiUnavailableError):
        return Check(False, Reason.RECONCILE_FAILED, f"{error}; it is tried again")
    return Check(False, Reason.REFUSED, f"the API server refused: {error}")
