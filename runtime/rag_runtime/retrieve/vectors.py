"""Vectors on the wire: pgvector's binary format, so that no query path formats 384 numbers as text."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

from rag_runtime.models.ports import Vector


@dataclass(frozen=True, slots=True)
class WireVector:
    """A vector as pgvector's `recv` functions take it: int16 dimensions, int16 0, then big-endian halves or floats."""

    payload: bytes


def wire_vector(vector: Vector, vector_type: str) -> WireVector:
    """`vector` (shape (d,)) for a parameter that is cast to `vector_type`, halfvec or vector."""
    number = ">f2" if vector_type == "halfvec" else ">f4"
    return WireVector(struct.pack(">hh", len(vector), 0) + vector.astype(number).tobytes())


class _WireVectorDumper(Dumper):
    """Binary, of unknown type: the server infers the type from the cast in the statement."""

    format = Format.BINARY

    def dump(self, obj: WireVector) -> Buffer | None:
        return obj.payload


def register(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
    """Let `connection` take WireVector parameters."""
    connection.adapters.register_dumper(WireVector, _WireVectorDumper)
