"""What the API server may answer, as few types as callers decide by."""

from __future__ import annotations

from collections.abc import Sequence

from rag_operator.api.errors import PermanentError, TransientError

NOT_KNOWN_YET = "cannot find RESTMapping"
"""What admission (OwnerReferencesPermissionEnforcement) says of an owner whose kind was made within its last ten
seconds."""


class ApiUnavailableError(TransientError):
    """No answer, or one that says try again: connection trouble, deadlines, 429, 5xx, a kind that is not known yet."""


class ConflictError(TransientError):
    """409: the object is not what we read (uid or resourceVersion), or it exists already. Observe again."""


class RefusedError(PermanentError):
    """400, 403, 422 and the like: the server understood and said no. The message is the server's.

    `fields`: what it complains of, as it names fields (`spec.ports[1].name`).
    """

    def __init__(self, message: str, fields: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.fields = tuple(fields)


class NotFoundError(RefusedError):
    """404 to a write: the kind, or the namespace, is not there (any more)."""


class ExpiredError(TransientError):
    """410: the watch or the continue token is too old; list again."""


def error_of(status: int, message: str, retry_after: str | None, fields: Sequence[str] = ()) -> Exception:
    """The error that an HTTP status of the API server stands for."""
    if status == 404:
        return NotFoundError(message)
    if status == 409:
        return ConflictError(message)
    if status == 410:
        return ExpiredError(message)
    if status == 429 or status >= 500 or status == 401 or (status == 403 and NOT_KNOWN_YET in message):
        delay = float(retry_after) if retry_after and retry_after.isdigit() else None
        return ApiUnavailableError(f"the API server answered {status}: {message}", delay)
    return RefusedError(message, fields)
