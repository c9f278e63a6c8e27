"""What the API server refuses to do for us, as a check that a person reads."""

from __future__ import annotations

from rag_operator.api.conditions import Reason
from rag_operator.decide.checks import Check
from rag_operator.kube.apply import NameTakenError
from rag_operator.kube.errors import RefusedError


def refusal(error: NameTakenError | RefusedError) -> Check:
    """A child's name is another's, or admission, quota or RBAC said no: in the server's own words."""
    if isinstance(error, NameTakenError):
        return Check(False, Reason.NAME_TAKEN, str(error))
    return Check(False, Reason.REFUSED, f"the API server refused: {error}")
