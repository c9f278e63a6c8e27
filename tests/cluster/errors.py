"""The one error that a person sees: a sentence that says what is wrong and what to do."""

from __future__ import annotations


class ClusterError(Exception):
    """A cluster command can't go on; its text is shown as it is, without a traceback."""
