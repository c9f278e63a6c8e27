"""Values of the query path: what was asked, what is known of it so far, what is replied."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rag_runtime.caches.answers import AnswerKey
from rag_runtime.models.ports import Turn, Usage, Vector
from rag_runtime.retrieve.search import Found
from rag_runtime.retrieve.tenants import Tenant


@dataclass(frozen=True, slots=True)
class Ask:
    """One authenticated, validated request."""

    request_id: str
    tenant: Tenant
    question: str
    top_k: int
    acl: tuple[str, ...]
    history: tuple[Turn, ...] = ()
    started: float = field(default_factory=time.perf_counter)
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """One cited passage; `n` is its number in the answer, `score` as in `Found`."""

    n: int
    title: str
    uri: str
    source: str
    path: str
    heading: str
    score: float
    text: str

    @classmethod
    def of(cls, n: int, found: Found) -> Source:
        """The passage as number `n`."""
        return cls(n, found.title, found.uri, found.source, found.path, found.heading, found.score, found.text)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. `model` None: no model was asked, since nothing relevant was found."""

    answer: str
    sources: tuple[Source, ...]
    model: str | None
    retrieval_count: int
    revision: int
    version: int
    usage: Usage = field(default_factory=Usage)
    finish: str = "stop"
    from_cache: bool = False
    degraded_reasons: tuple[str, ...] = ()

    def kept(self) -> dict[str, Any]:
        """What the exact cache keeps."""
        return {
            "answer": self.answer,
            "sources": [{name: getattr(source, name) for name in Source.__slots__} for source in self.sources],
            "model": self.model,
            "retrieval_count": self.retrieval_count,
            "revision": self.revision,
            "version": self.version,
            "usage": [self.usage.prompt_tokens, self.usage.completion_tokens],
            "finish": self.finish,
        }

    @classmethod
    def of_kept(cls, kept: dict[str, Any]) -> Reply:
        """The reverse of `kept`. Raises KeyError, TypeError on what another release kept."""
        rest = dict(kept)
        sources = tuple(Source(**source) for source in rest.pop("sources"))
        return cls(sources=sources, usage=Usage(*rest.pop("usage")), from_cache=True, **rest)


@dataclass(frozen=True, slots=True)
class Sources:
    """Event: what the answer will rest on; comes before any text."""

    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Event: a piece of the answer. `restart`: what came before is void, this begins the answer anew."""

    text: str
    restart: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """Event: the end, with the whole."""

    reply: Reply


Event = Sources | Text | Done


@dataclass(slots=True)
class Work:
    """What the stages have found out so far. `tenant` is replaced when the pointer had to be read again."""

    ask: Ask
    tenant: Tenant
    vector: Vector | None = None
    passages: Sequence[Found] = ()
    degraded: list[str] = field(default_factory=list)
    cached: Reply | None = None

    @property
    def key(self) -> AnswerKey:
        """Where the answer belongs in the exact cache: all that shapes it, beside configuration and rows."""
        asked = [self.ask.question, self.ask.top_k, *((turn.role, turn.content) for turn in self.ask.history)]
        pointer = self.tenant.pointer
        return AnswerKey(self.tenant.id, pointer.version, pointer.token, self.ask.acl, json.dumps(asked))

    @property
    def expires_at(self) -> datetime | None:
        """The earliest expiry among the passages."""
        return min((found.expires_at for found in self.passages if found.expires_at is not None), default=None)

    def degrade(self, reason: str) -> None:
        """Note that the answer is less than it could be."""
        if reason not in self.degraded:
            self.degraded.append(reason)
