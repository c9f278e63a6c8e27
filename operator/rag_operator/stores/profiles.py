"""Embedding profiles that the operator declared, and which of them revisions answer with.

A revision's own record of its shape was written by ingestion, which may be less trusted than the operator: what query
pods are given (an endpoint, the path of a key) comes from the operator's table only, and is found by identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.sql import SQL
from psycopg.types.json import Jsonb
from pydantic import ValidationError

from rag_operator.stores.transaction import Transaction
from rag_runtime.contract.config import EmbeddingProfile, IndexShape

_DECLARED = SQL("SELECT identity, profile FROM {c}.profile ORDER BY identity")
_DECLARE = SQL("""
INSERT INTO {c}.profile (identity, profile) VALUES (%s, %s)
ON CONFLICT (identity) DO UPDATE SET profile = excluded.profile
""")
_SERVING = SQL("SELECT DISTINCT shape FROM {c}.pointer WHERE active IS NOT NULL AND open")


async def declare_profile(tx: Transaction, profile: EmbeddingProfile) -> dict[str, EmbeddingProfile]:
    """All profiles ever declared, by identity, this one among them. Writes only when it is new or its key moved."""
    known = {row["identity"]: EmbeddingProfile.model_validate(row["profile"]) for row in await tx.rows(_DECLARED)}
    if known.get(profile.identity) != profile:
        known[profile.identity] = profile
        await tx.change(_DECLARE, [profile.identity, Jsonb(profile.model_dump(mode="json", by_alias=True))])
    return known


async def serving_identities(tx: Transaction) -> frozenset[str]:
    """Identities of the profiles that revisions say they were built with. To be looked up, never to be trusted."""
    shapes = [recorded_shape(row["shape"]) for row in await tx.rows(_SERVING)]
    return frozenset(shape.profile.identity for shape in shapes if shape is not None)


def recorded_shape(recorded: Mapping[str, Any] | None) -> IndexShape | None:
    """The shape that a revision's row records; None where it is none that we know."""
    try:
        return IndexShape.model_validate(recorded) if recorded else None
    except ValidationError:
        return None
