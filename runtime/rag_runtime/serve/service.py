"""One pipeline's query service: its parts, made of the configuration, and their life."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Coroutine
from typing import Any

from starlette.types import ASGIApp

from rag_runtime.answer.embedding import QuestionVectors
from rag_runtime.answer.generation import Generation
from rag_runtime.answer.path import Parts, Path
from rag_runtime.answer.telemetry import Telemetry
from rag_runtime.breaker import Breaker
from rag_runtime.caches.answers import AnswerCache
from rag_runtime.caches.embeddings import EmbeddingCache
from rag_runtime.caches.keys import config_digest
from rag_runtime.caches.redis import Redis
from rag_runtime.caches.versions import announce_version
from rag_runtime.contract.config import ServeConfig
from rag_runtime.logs import fields
from rag_runtime.models.errors import RuntimeFault
from rag_runtime.retrieve.database import Database
from rag_runtime.retrieve.search import Searcher
from rag_runtime.serve.app import application
from rag_runtime.serve.catalog import Catalog, Change
from rag_runtime.serve.edge import Drain
from rag_runtime.serve.health import Health, watch_catalog
from rag_runtime.serve.lease import ReaderLease
from rag_runtime.serve.listener import Listener
from rag_runtime.serve.models import Models
from rag_runtime.serve.probe import Prober
from rag_runtime.serve.queries import Desk

logger = logging.getLogger(__name__)

WARM_RETRY_SECONDS = 5.0


def pod_name() -> str:
    """This pod, or outside of Kubernetes this host: the key of the reader lease."""
    return os.environ.get("POD_NAME") or socket.gethostname()


class Service:
    """Everything of the process but its HTTP server."""

    def __init__(self, config: ServeConfig, models: Models, pod: str) -> None:
        self.config = config
        self.telemetry = telemetry = Telemetry()
        self.drain = Drain()
        self.database = Database(config.database, telemetry.watch(Breaker("postgres", failures=3, pause=1.0)))
        self.catalog = Catalog(self.database)
        self.lease = ReaderLease(pod, self.database, self.catalog, Prober(self.database))
        self._listener = Listener(self.database, self.catalog)
        self._models = models
        self._warm = False
        self._redis = self._make_redis()
        self._tasks: set[asyncio.Task[None]] = set()
        self._embedding = QuestionVectors(
            models.embedders, self._embedding_cache(), telemetry, config.embedding.timeout_seconds
        )
        self._generation = Generation(models.model, models.extracts, telemetry, config.answering.timeout_seconds)
        self.path = Path(self._parts())

    def application(self) -> ASGIApp:
        """The HTTP service over these parts."""
        checks = {
            "catalog": lambda: self.catalog.applied,
            # once only: an outage of Postgres takes every pod's lease, and pods without traffic could not even say so
            "lease": lambda: self.lease.held_once,
            "embedder": lambda: self._warm,
            "serving": lambda: not self.drain.draining,
        }
        watch_catalog(self.telemetry, self.catalog, self.lease)
        desk = Desk(self.catalog, self.path, self.telemetry, self.config.retrieval.top_k)
        health = Health(self.telemetry, checks)
        return application(desk, self._generation.name, health, self.telemetry, self.drain)

    def start(self) -> None:
        """Begin to follow the catalog, keep the lease, load the local embedders. Waits for nothing."""
        if self._redis is not None:
            self.catalog.subscribe(self._tell_versions)
            self._spawn(self._redis.run())
        self._spawn(self._listener.run())
        self._spawn(self.lease.run())
        self._spawn(self._warm_up())

    async def stop(self) -> None:
        """Give the lease back and close every connection; requests have ended before."""
        await self.path.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.lease.release()
        await self._embedding.close()
        await self._generation.close()
        if self._redis is not None:
            await self._redis.close()
        await self.database.close()

    def _parts(self) -> Parts:
        config = self.config
        exact = config.cache.exact_ttl_seconds
        return Parts(
            config=config,
            pins=self.catalog,
            may_pin=lambda: self.lease.fresh,
            searcher=Searcher(self.database, config.retrieval),
            vectors=self._embedding,
            generation=self._generation,
            answers=AnswerCache(self._redis, config_digest(config), exact) if self._redis and exact else None,
            telemetry=self.telemetry,
        )

    def _make_redis(self) -> Redis | None:
        if self.config.cache.url_file is None:
            return None
        return Redis(self.config.cache.url_file, self.telemetry.watch(Breaker("redis", failures=1, pause=1.0)))

    def _embedding_cache(self) -> EmbeddingCache | None:
        seconds = self.config.cache.embedding_ttl_seconds
        return EmbeddingCache(self._redis, seconds) if self._redis is not None and seconds else None

    def _tell_versions(self, change: Change) -> None:
        """Other pods learn from Redis what this one has read, in case their notification is late."""
        if self._redis is not None:
            for tenant in change.moved:
                self._spawn(announce_version(self._redis, tenant.id, tenant.pointer.version))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a background task died: this process ends", exc_info=error)
            self.drain.failed()

    async def _warm_up(self) -> None:
        """Load the local embedders, again and again until they load."""
        for identity in self._models.local:
            while True:
                try:
                    await self._models.embedders[identity].embed("ready")
                    break
                except RuntimeFault as error:
                    logger.error("the embedder can't be loaded", extra=fields(profile=identity, error=str(error)))
                    await asyncio.sleep(WARM_RETRY_SECONDS)
        self._warm = True
