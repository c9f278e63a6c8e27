"""The runtime's two kinds of error: what a person must mend, and what time may mend."""

from __future__ import annotations


class RuntimeFault(Exception):  # noqa: N818  it names the finding
    """Base of both kinds. Its text is one sentence that names the thing and the mend; it holds no secret."""


class PermanentError(RuntimeFault):
    """A person must mend it: repeating the call changes nothing."""


class TransientError(RuntimeFault):
    """Worth repeating after a pause. `retry_after`: seconds that the other side asked for, None when it did not say."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelRejected(PermanentError):  # noqa: N818  it names the finding
    """The endpoint refuses the call as it stands: wrong key, unknown model, wrong dimensions, malformed answer."""


class ModelUnavailable(TransientError):  # noqa: N818  it names the finding
    """The endpoint cannot be reached, is overloaded, answered 408/409/425/429/5xx, or missed the deadline."""
