"""What may go wrong between a question and its passages."""

from __future__ import annotations


class RetrievalError(Exception):
    """Base of the two. Messages hold no question, no text, no secret."""


class DatabaseUnavailableError(RetrievalError):
    """Postgres can't be reached, missed its deadline, or its breaker is open: fall back, then 503."""


class RevisionMissingError(RetrievalError):
    """A relation or role that the pointer named is gone: refresh the pointer and retry once (DATA §3)."""
