"""A change of our own code that takes a protection away, and the test that must notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """`old` stands exactly once in `file`, a path in the repository; `new` takes its place."""

    name: str
    """What the mutated operator does."""
    why: str
    """What would come of it."""
    file: str
    old: str
    new: str
    killed_by: str
    """The cheapest test that must fail, as pytest names it, from the folder `tests`."""
    api: bool = False
    """Whether that test needs an API server."""

    @property
    def module(self) -> str:
        """The mutated module's import name."""
        return self.file.split("/", 1)[1].removesuffix(".py").replace("/", ".")
