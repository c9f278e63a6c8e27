"""Why a request gets no answer; the HTTP room turns each into a status."""

from __future__ import annotations


class RequestError(Exception):
    """Base: `kind` is the machine's word, the text a sentence for people that holds no question and no secret."""

    status = 500
    kind = "internal"
    retry_after: int | None = None

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class InvalidRequestError(RequestError):
    """The body is not JSON, or not a request at all."""

    status = 400
    kind = "invalid_request"


class InvalidFieldError(RequestError):
    """A field breaks a rule; `field` names it."""

    status = 422
    kind = "invalid_field"


class UnauthenticatedError(RequestError):
    """No key, or one that belongs to no answering tenant."""

    status = 401
    kind = "unauthenticated"


class TooLargeError(RequestError):
    """The body is larger than allowed."""

    status = 413
    kind = "too_large"


class UnavailableError(RequestError):
    """Nothing can answer now; worth repeating after `retry_after` seconds."""

    status = 503
    kind = "unavailable"
    retry_after = 2


class NoIndexError(UnavailableError):
    """The tenant has no active revision yet."""

    kind = "no_index"
    retry_after = 10
