"""Retrieval and whole queries over real HTTP: p50 and p99, caches off and on, built-in models, as a Markdown table.

    python -m tests.bench.serve.query [--chunks 20000] [--requests 400] [--concurrency 8]

Passages are 120 words each of Python's standard library, questions three to six words of a passage, which is harsh for
BM25 (probe F asked so). Passages get vectors of random directions, which is harsh for HNSW and saves embedding 20,000
(15 minutes). The question's own embedding is real and counts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import aiohttp
import numpy as np

from rag_runtime.breaker import Breaker
from rag_runtime.contract.config import EVERYONE, Cache, EmbeddingProfile, IndexShape, Retrieval, ServeConfig
from rag_runtime.contract.names import TenantNames
from rag_runtime.models.ports import Vectors
from rag_runtime.retrieve.database import Database
from rag_runtime.retrieve.search import Question, Searcher
from rag_runtime.retrieve.tenants import Target
from tests.integration.serve.laying import Doc, lay_revision
from tests.integration.serve.running import eventually
from tests.support.catalog import TestCatalog, api_key_of, lay_catalog
from tests.support.postgres import SETTINGS, free_port, running
from tests.support.redis import wait_for_port

SETTINGS_OF_BENCH = tuple(one for one in SETTINGS if not one.startswith(("fsync", "shared_buffers")))


@dataclass(frozen=True, slots=True)
class Corpus:
    """Passages with vectors, and the questions asked of them."""

    docs: list[Doc]
    vectors: Vectors
    questions: list[str]
    question_vectors: Vectors


@dataclass(frozen=True, slots=True)
class Measured:
    """Latencies in milliseconds, and how many a second."""

    name: str
    concurrency: int
    milliseconds: list[float]
    seconds: float

    def row(self) -> str:
        """A line of the table."""
        p50, p99 = np.percentile(self.milliseconds, [50, 99])
        rate = len(self.milliseconds) / self.seconds
        return f"| {self.name} | {self.concurrency} | {p50:.1f} | {p99:.1f} | {rate:.0f} |"


def corpus(chunks: int, questions: int) -> Corpus:
    """Passages of 120 words in the order of the files; at most as many as Python's own source gives."""
    rng = np.random.default_rng(7)
    words: list[str] = []
    for file in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" not in file.parts:
            words += file.read_text("utf-8", "replace").replace("\0", " ").split()
        if len(words) > chunks * 120:
            break
    texts = [" ".join(words[i : i + 120])[:4000] for i in range(0, min(len(words), chunks * 120), 120)]
    docs = [Doc(f"{i}.md", text) for i, text in enumerate(texts)]
    vectors = rng.standard_normal((len(docs), 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    asked = rng.integers(0, len(docs), questions)
    noisy = vectors[asked] + rng.standard_normal((questions, 384)).astype(np.float32) * 0.05
    return Corpus(
        docs,
        vectors,
        [_question(rng, docs[i].text) for i in asked],
        noisy / np.linalg.norm(noisy, axis=1, keepdims=True),
    )


def _question(rng: np.random.Generator, text: str) -> str:
    """Three to six words of a passage, as probe F asked them."""
    words = sorted(set(re.findall(r"[A-Za-z]{3,}", text))) or ["nothing"]
    chosen = rng.choice(words, min(len(words), int(rng.integers(3, 7))), replace=False)
    return f"What is {' '.join(chosen)}?"


async def timed(
    name: str, concurrency: int, count: int, call: Callable[[int], Awaitable[None]], warm: int = 20
) -> Measured:
    """`count` calls by `concurrency` tasks, after some that don't count."""
    for i in range(min(warm, count)):
        await call(i)
    spent: list[float] = []
    left = iter(range(count))

    async def work() -> None:
        for i in left:
            started = time.perf_counter()
            await call(i)
            spent.append((time.perf_counter() - started) * 1000)

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    return Measured(name, concurrency, spent, time.perf_counter() - started)


async def measure_retrieval(config: ServeConfig, target: Target, data: Corpus, options: argparse.Namespace) -> None:
    """The searcher alone, in this process: fused, filtered, texts fetched."""
    database = Database(config.database, Breaker("postgres"))
    searcher = Searcher(database, config.retrieval.model_copy(update={"min_score": -1.0}))

    async def one(i: int) -> None:
        await searcher.search(target, Question(data.questions[i], data.question_vectors[i], 6))

    for concurrency in (1, options.concurrency):
        print((await timed("retrieval (vector + BM25, texts)", concurrency, options.requests, one)).row())
    await database.close()


@asynccontextmanager
async def process(config: ServeConfig, folder: Path) -> AsyncIterator[str]:
    """The query service as the image runs it."""
    file, port = folder / "serve.json", free_port()
    file.write_text(config.model_dump_json(by_alias=True))
    environment = os.environ | {
        "RAG_HTTP_HOST": "127.0.0.1",
        "RAG_HTTP_PORT": str(port),
        "POD_NAME": "bench",
        "RAG_LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-m", "rag_runtime", "serve", "--config", str(file)]
    child = await asyncio.create_subprocess_exec(*command, env=environment)
    try:
        async with aiohttp.ClientSession() as http:
            await eventually(lambda: _ready(http, port), 60)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        await child.wait()


async def _ready(http: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with http.get(f"http://127.0.0.1:{port}/readyz") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def measure_queries(config: ServeConfig, name: str, data: Corpus, options: argparse.Namespace) -> None:
    """Whole `/v1/query` requests over HTTP; the extractive answerer writes the answers."""
    headers = {"authorization": f"Bearer {api_key_of('bench')}"}
    with tempfile.TemporaryDirectory() as folder:
        async with process(config, Path(folder)) as url, aiohttp.ClientSession(headers=headers) as http:

            async def one(i: int) -> None:
                async with http.post(f"{url}/v1/query", json={"question": data.questions[i]}) as response:
                    await response.read()
                    assert response.status == 200

            if "hit" in name:
                for i in range(options.requests):
                    await one(i)
            for concurrency in (1, options.concurrency):
                print((await timed(name, concurrency, options.requests, one)).row(), flush=True)


def target_of(catalog: TestCatalog, tenant: TenantNames, shape: IndexShape, revision: int) -> Target:
    """The revision, read as its tenant."""
    return Target(tenant.incarnation, tenant.schema, tenant.reader, 0, revision, shape, (EVERYONE,))


@asynccontextmanager
async def redis(folder: Path) -> AsyncIterator[Cache]:
    """A redis-server for the run."""
    program, port = shutil.which("redis-server"), free_port()
    assert program is not None
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
    try:
        await asyncio.to_thread(wait_for_port, port)
        (folder / "redis").write_text(f"redis://127.0.0.1:{port}/0")
        yield Cache(url_file=PurePosixPath(folder / "redis"))
    finally:
        child.terminate()
        await child.wait()


async def main(options: argparse.Namespace) -> None:
    """Lay the corpus, measure, print."""
    data = corpus(options.chunks, options.requests)
    shape = IndexShape(profile=EmbeddingProfile())
    with tempfile.TemporaryDirectory() as name, running() as server:
        server.stop()
        server.start((*SETTINGS_OF_BENCH, "shared_buffers=512MB"))
        folder = Path(name)
        catalog = lay_catalog(server.dsn())
        tenant = catalog.add_tenant("bench")
        revision = lay_revision(catalog, tenant, shape, data.docs, data.vectors)
        catalog.promote(tenant.incarnation, revision)
        config = ServeConfig(
            pipeline="rag/bench",
            database=catalog.credentials(folder / "database", query_00=catalog.names.query_login(0)),
            profiles={shape.profile.identity: shape.profile},
            retrieval=Retrieval(min_score=-1.0),
        )
        print(f"{len(data.docs)} chunks of 120 words, 384 dimensions, HNSW halfvec, {options.requests} questions;")
        print(f"{os.cpu_count()} CPUs for client, service and Postgres, load {os.getloadavg()[0]:.1f}, ", end="")
        print(f"Python {platform.python_version()}\n")
        print("| what | at once | p50 ms | p99 ms | per second |\n|---|---|---|---|---|")
        await measure_retrieval(config, target_of(catalog, tenant, shape, revision), data, options)
        await measure_queries(config, "/v1/query, caches off", data, options)
        async with redis(folder) as cache:
            cached = config.model_copy(update={"cache": cache})
            await measure_queries(cached, "/v1/query, exact cache hit", data, options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--concurrency", type=int, default=8)
    asyncio.run(main(parser.parse_args()))
