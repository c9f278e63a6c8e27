"""Exact answers: the same question over the same visible rows with the same settings and the same rights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from rag_runtime.caches.keys import answer_key, version_key
from rag_runtime.caches.redis import Redis


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """What identifies an answer, beside the configuration. `version` is the number that `token` belongs to."""

    tenant: UUID
    version: int
    token: str
    acl: Sequence[str]
    question: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a lookup found. `newer`: Redis knows a newer version than the key's, so the pointer must be read again.

    `answered`: False when there is no Redis to ask.
    """

    value: dict[str, Any] | None = None
    newer: bool = False
    answered: bool = True


class AnswerCache:
    """Answers by AnswerKey, as JSON objects. `config` is the digest of the settings, `seconds` the longest life."""

    def __init__(self, redis: Redis, config: str, seconds: int) -> None:
        self.redis = redis
        self._config = config
        self._seconds = seconds

    async def get(self, key: AnswerKey) -> Lookup:
        """The kept answer; one round trip, together with the newest known version."""
        found = await self.redis.get_many([version_key(key.tenant), self._key(key)])
        if found is None:
            return Lookup(answered=False)
        version, value = found
        if version is not None and version.isdigit() and int(version) > key.version:
            return Lookup(newer=True)
        return Lookup(_kept(value))

    async def put(self, key: AnswerKey, value: dict[str, Any], seconds: float | None) -> None:
        """Keep `value` no longer than `seconds` (until the earliest expiry of its sources; None: none expires)."""
        life = self._seconds if seconds is None else min(self._seconds, int(seconds))
        if life >= 1:
            await self.redis.put(self._key(key), json.dumps(value, separators=(",", ":")).encode(), life)

    def _key(self, key: AnswerKey) -> str:
        return answer_key(key.tenant, self._config, key.token, key.acl, key.question)


def _kept(value: bytes | None) -> dict[str, Any] | None:
    """The kept object; what is none of ours counts as absent."""
    try:
        found = json.loads(value) if value is not None else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
