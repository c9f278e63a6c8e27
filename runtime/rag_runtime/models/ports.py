"""What the rest of the runtime knows of models: three protocols and the values that cross them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
"""Shape (d,): one text. Vectors are L2-normalised, so a dot product is a cosine."""
Vectors = NDArray[np.float32]
"""Shape (n, d): n texts in the order given."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One retrieved piece of text as an answerer sees it; its citation number is its position, from 1."""

    text: str
    title: str = ""
    heading: str = ""
    uri: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of a conversation."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that an answer took, as the model counted them (the built-in answerer: 0 and 0, it has no model)."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer. The last of a stream, and only that, has `finish` and `usage` (its text may be empty)."""

    text: str
    finish: Literal["stop", "length", "content_filter"] | None = None
    usage: Usage | None = None


class DocumentEmbedder(Protocol):
    """Turns documents' texts into vectors. Raises PermanentError or TransientError, never a part of the result."""

    @property
    def dimensions(self) -> int:
        """d of the vectors."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape (len(texts), d), float32, L2-normalised, in the order of `texts`."""
        ...

    async def close(self) -> None:
        """Release connections; the object is of no use afterwards."""
        ...


class QuestionEmbedder(Protocol):
    """Turns one question into a vector, on the query path."""

    @property
    def dimensions(self) -> int:
        """d of the vector."""
        ...

    async def embed(self, question: str) -> Vector:
        """Vector of shape (d,), float32, L2-normalised. Raises PermanentError or TransientError."""
        ...

    async def close(self) -> None:
        """Release connections; the object is of no use afterwards."""
        ...


class Answerer(Protocol):
    """Makes an answer of passages, as a stream."""

    @property
    def model(self) -> str:
        """Name of the model for logs, usage and the `model` field of compatible answers."""
        ...

    def stream(
        self, question: str, passages: Sequence[Passage], history: Sequence[Turn] = ()
    ) -> AsyncGenerator[Delta, None]:
        """Deltas of the answer; the last has `finish` and `usage`. Close the generator to stop early.

        Errors (PermanentError, TransientError) may be raised before the first delta and between deltas.
        """
        ...

    async def close(self) -> None:
        """Release connections; the object is of no use afterwards."""
        ...
