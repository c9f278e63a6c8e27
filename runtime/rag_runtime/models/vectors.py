"""Checks what an endpoint calls vectors before anything relies on them."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np

from rag_runtime.contract.config import EmbeddingProfile, Endpoint
from rag_runtime.models.endpoint import rejected
from rag_runtime.models.errors import ModelRejected
from rag_runtime.models.ports import Vectors


class WrongDimensions(ModelRejected):
    """The model gives vectors of other dimensions than the profile says."""


def rows_of(data: Any, wanted: int, endpoint: Endpoint, model: str) -> list[Any]:
    """The embeddings in an answer's `data`, in the order of the inputs. Raises ModelRejected unless all are there."""
    try:
        rows = {int(row["index"]): row["embedding"] for row in data}
    except (TypeError, KeyError, ValueError) as error:
        raise rejected(
            endpoint, model, "its answer holds no embeddings; check that it is an embedding model"
        ) from error
    if sorted(rows) != list(range(wanted)):
        raise rejected(endpoint, model, f"{len(rows)} embeddings came for {wanted} texts; check the endpoint")
    return [rows[i] for i in range(wanted)]


def to_vectors(rows: list[Any], profile: EmbeddingProfile, endpoint: Endpoint) -> Vectors:
    """Shape (n, d), float32, L2-normalised, of rows that are lists of numbers or base64 of little-endian float32.

    Raises WrongDimensions, or ModelRejected for what is no vector (not numbers, not finite, zero).
    """
    try:
        vectors = [_row(row) for row in rows]
    except (ValueError, TypeError, binascii.Error) as error:
        raise rejected(endpoint, profile.model, "an embedding is not a list of numbers; check the endpoint") from error
    wrong = next((len(vector) for vector in vectors if len(vector) != profile.dimensions), None)
    if wrong is not None:
        raise WrongDimensions(
            f"model {profile.model!r} at {endpoint.base_url} gives {wrong} dimensions, not the {profile.dimensions} of "
            f"the embedding profile; set dimensions: {wrong}, or another model"
        )
    matrix = np.stack(vectors)
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    if not np.isfinite(norms).all() or not norms.all():
        raise rejected(endpoint, profile.model, "an embedding is zero or not finite; check the endpoint")
    normalised: Vectors = matrix / norms
    return normalised


def _row(row: Any) -> Vectors:
    if isinstance(row, str):
        return np.frombuffer(base64.b64decode(row, validate=True), "<f4")
    vector = np.asarray(row, np.float32)
    if vector.ndim != 1:
        raise ValueError("not a vector")
    return vector
