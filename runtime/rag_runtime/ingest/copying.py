"""Chunk rows as one binary COPY stream, made in bulk: a vector is never formatted as text.

Format: "Binary Format" of COPY in PostgreSQL's manual; halfvec and vector as their `_send` functions write them
(pgvector: int16 dimensions, int16 unused, then big-endian float16 or float32); arrays as `array_send`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag_runtime.contract.config import Quantization
from rag_runtime.ingest.chunk import Chunk
from rag_runtime.models.ports import Vectors

COPY = """COPY {chunk} (ordinal, tokens, text, heading, document, title, uri, source, path, metadata, acl, expires_at,
  embedding) FROM STDIN (FORMAT BINARY)"""
FIELDS = 13
PIECE_BYTES = 2**20
HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
TRAILER = struct.pack("!h", -1)
_NULL = struct.pack("!i", -1)
_TEXT_OID = 25
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_START = struct.Struct("!hiiiii")
"""Number of fields, then ordinal and tokens, each with its length, then the length of the text."""
_LENGTH = struct.Struct("!i")

Encoded = NDArray[np.uint8]
"""Shape (n, bytes of one embedding field): n embeddings as they go over the wire."""


@dataclass(frozen=True, slots=True)
class Owner:
    """What all chunks of a document share."""

    id: int
    title: str
    uri: str
    source: str
    path: str
    metadata: dict[str, Any]
    acl: list[str]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Rows:
    """The chunks of one document with their encoded embeddings, in the same order."""

    owner: Owner
    chunks: Sequence[Chunk]
    embeddings: Encoded


def encode_vectors(vectors: Vectors, quantization: Quantization) -> Encoded:
    """Vectors of shape (n, d) as fields with their length. Raises ValueError for one that isn't finite."""
    if not np.isfinite(vectors).all():
        raise ValueError("an embedding has a value that is not a number")
    count, dimensions = vectors.shape
    body = vectors.astype(">f2" if quantization is Quantization.HALFVEC else ">f4")
    size = body.dtype.itemsize * dimensions
    fields = np.empty((count, 8 + size), np.uint8)
    fields[:, :8] = np.frombuffer(struct.pack("!ihh", 4 + size, dimensions, 0), np.uint8)
    fields[:, 8:] = np.ascontiguousarray(body).view(np.uint8).reshape(count, size)
    return fields


def stream(documents: Sequence[Rows]) -> Iterator[bytes]:
    """The whole COPY stream in pieces of about PIECE_BYTES."""
    parts: list[bytes | memoryview] = [HEADER]
    size = 0
    for rows in documents:
        shared = _shared(rows.owner)
        vectors = memoryview(rows.embeddings.tobytes())
        width = rows.embeddings.shape[1]
        for i, chunk in enumerate(rows.chunks):
            text, heading = chunk.text.encode(), chunk.heading.encode()
            start = _START.pack(FIELDS, 4, chunk.ordinal, 4, chunk.tokens, len(text))
            embedding = vectors[i * width : (i + 1) * width]
            parts += (start, text, _LENGTH.pack(len(heading)), heading, shared, embedding)
            size += len(text) + len(heading) + len(shared) + width + 26
            if size >= PIECE_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
    parts.append(TRAILER)
    yield b"".join(parts)


def _shared(owner: Owner) -> bytes:
    """The fields document … expires_at, each with its length."""
    texts = (owner.title, owner.uri, owner.source, owner.path)
    metadata = b"\x01" + json.dumps(owner.metadata, ensure_ascii=False).encode()
    fields = [struct.pack("!q", owner.id), *(text.encode() for text in texts), metadata, _text_array(owner.acl)]
    shared = b"".join(_LENGTH.pack(len(one)) + one for one in fields)
    return shared + (_NULL if owner.expires_at is None else _field(_microseconds(owner.expires_at)))


def _field(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value


def _microseconds(at: datetime) -> bytes:
    since = at - _EPOCH
    return struct.pack("!q", (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def _text_array(items: Sequence[str]) -> bytes:
    """A one-dimensional text array; an empty one has no dimension."""
    if not items:
        return struct.pack("!iii", 0, 0, _TEXT_OID)
    return struct.pack("!iiiii", 1, 0, _TEXT_OID, len(items), 1) + b"".join(_field(item.encode()) for item in items)
