"""The two kinds of trouble: what a person must mend, and what is tried again."""

from collections.abc import Iterable
from dataclasses import dataclass


class PermanentError(Exception):
    """A person must mend it. The text becomes a condition's message, so it says the mend."""


class TransientError(Exception):
    """May pass by itself: retried with back-off.

    `retry_after` is in seconds, where the other side said how long to wait.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a resource: where, as `kubectl` writes paths (`spec.sources[0].name`), and the mend."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InvalidSpec(PermanentError):  # noqa: N818  it names the finding, and reads as one
    """The resource breaks the schema or a rule. Names every problem, because people mend them all at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))
