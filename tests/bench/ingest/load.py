"""Given vectors into Postgres, without index build: our index step against langchain-postgres `PGVector`.

    python -m tests.bench.ingest.load [--rows 20000] [--rounds 5]

Same Postgres (fsync on), same rows, one process each, alternating; the median of the rounds. Ours is what `index` runs:
batches of 1,024 chunks (its size when vectors come fast), each a transaction that checks the lease, locks documents,
replaces their chunks, copies and moves the watermark. Index builds are timed apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg

from rag_runtime.contract.config import Chunking, EmbeddingProfile, IndexShape
from rag_runtime.ingest import batches, documents, revisions
from rag_runtime.ingest.batches import Batch, Piece
from rag_runtime.ingest.chunk import Chunk
from rag_runtime.ingest.copying import encode_vectors
from rag_runtime.ingest.documents import Changed, Facts
from rag_runtime.ingest.embedding import Embedded
from rag_runtime.ingest.index import MOST_CHUNKS
from rag_runtime.ingest.leases import Holder, Lease, LeaseKey
from rag_runtime.ingest.parse import Parsed
from rag_runtime.ingest.revisions import Shard
from rag_runtime.ingest.store import Session, Store
from rag_runtime.models.ports import Vectors
from tests.cluster.paths import cache_root
from tests.support.catalog import lay_catalog
from tests.support.postgres import SUPERUSER, Server, running

THEIRS = "0.0.19"
DIMENSIONS = 384
PER_DOCUMENT = 10
SHAPE = IndexShape(profile=EmbeddingProfile(dimensions=DIMENSIONS), chunking=Chunking())
SETTINGS = (
    "shared_buffers=1GB",
    "max_wal_size=4GB",
    "jit=off",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
)


@dataclass(frozen=True)
class Given:
    """The rows to be loaded."""

    texts: list[str]
    vectors: Vectors


@dataclass(frozen=True)
class Ours:
    """Seconds of one round of ours."""

    documents: float
    load: float
    build: float


def given(rows: int) -> Given:
    """Texts of 600 characters and normalised vectors, the same at every call."""
    chance = np.random.default_rng(7)
    words = np.array([f"word{i}" for i in range(5000)])
    texts = [" ".join(words[chance.zipf(1.3, 75) % 5000])[:600] for _ in range(rows)]
    vectors = chance.standard_normal((rows, DIMENSIONS)).astype(np.float32)
    return Given(texts, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


async def load_ours(server: Server, rows: Given, home: Path) -> Ours:
    """One round in a fresh database."""
    server.drop_database("ours")
    catalog = lay_catalog(server.create_database("ours"))
    tenant = catalog.add_tenant("bench")
    store = Store(
        catalog.credentials(home / tenant.schema, ingest=tenant.ingestion), tenant.schema, str(tenant.incarnation)
    )
    async with store.session() as session:
        begun = time.perf_counter()
        await _write_documents(session, rows)
        written = time.perf_counter()
        revision = await revisions.create(session, SHAPE)
        lease = await Holder("bench", 600).take(session, LeaseKey("Index", revision.number))
        assert lease is not None
        prepared = await _batches(session, rows)
        ready = time.perf_counter()
        for batch, vectors in prepared:
            embedded = Embedded(encode_vectors(vectors, SHAPE.quantization), list(range(len(vectors))), {})
            await batches.write(session, lease, batch, batches.results(batch, embedded))
        loaded = time.perf_counter()
        await _check(session, lease, len(rows.texts))
        before = time.perf_counter()
        await revisions.build(session, revision.number)
        return Ours(written - begun, loaded - ready, time.perf_counter() - before)


async def _check(session: Session, lease: Lease, expected: int) -> None:
    (count,) = await session.rows("SELECT count(*) FROM {chunk}", revision=lease.key.revision)
    assert count == (expected,), count


async def _write_documents(session: Session, rows: Given) -> None:
    fence = await Holder("bench", 600).take(session, LeaseKey("Sync"))
    assert fence is not None
    for first in range(0, len(rows.texts), 200 * PER_DOCUMENT):
        part = [
            Changed(
                f"page{i}", f"page{i}", None, "", "text/1", Parsed(f"page{i}", "text", "text/plain", ()), added=True
            )
            for i in range(first // PER_DOCUMENT, min(first + 200 * PER_DOCUMENT, len(rows.texts)) // PER_DOCUMENT)
        ]
        async with session.transaction():
            drawn = await session.value(documents.DRAW, [len(part), fence.epoch])
            await documents.upsert(session, "bench", Facts({"source": "bench"}, ["*"]), part, drawn)


async def _batches(session: Session, rows: Given) -> list[tuple[Batch, Vectors]]:
    """Chunks grouped as `index` groups them: whole documents until there are MOST_CHUNKS."""
    found: list[tuple[Batch, Vectors]] = []
    after, first = 0, 0
    per_batch = -(-MOST_CHUNKS // PER_DOCUMENT)
    while part := (await revisions.read(session, after, 10**9, Shard()))[:per_batch]:
        pieces = []
        for i, document in enumerate(part):
            start = first + i * PER_DOCUMENT
            texts = rows.texts[start : start + PER_DOCUMENT]
            pieces.append(Piece(document, [Chunk(n, text, "", 75, 0, len(text)) for n, text in enumerate(texts)]))
        size = len(part) * PER_DOCUMENT
        found.append((Batch(after, part[-1].seq, pieces), rows.vectors[first : first + size]))
        after, first = part[-1].seq, first + size
    return found


def load_theirs(server: Server, folder: Path, python: Path, batch: int, rows: int) -> float:
    """One round in a fresh database; seconds of `add_embeddings`."""
    server.drop_database("theirs")
    server.create_database("theirs")
    dsn = f"postgresql+psycopg://{SUPERUSER}:rag-admin-password@127.0.0.1:{server.port}/theirs"
    script = Path(__file__).with_name("langchain_load.py")
    command = [str(python), "-W", "ignore", str(script), dsn, str(folder), str(batch), str(rows)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(result.stdout.split()[-1])


def build_theirs(server: Server) -> float:
    """Seconds of the same kind of index over its table (full precision: it stores `vector`)."""
    with psycopg.connect(server.dsn(SUPERUSER, "theirs"), autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '256MB'")
        begun = time.perf_counter()
        connection.execute(
            "CREATE INDEX ON langchain_pg_embedding USING hnsw (embedding vector_cosine_ops)"
            f" WITH (m = {SHAPE.m}, ef_construction = {SHAPE.ef_construction})"
        )
        return time.perf_counter() - begun


def their_python() -> Path:
    """A virtual environment with langchain-postgres, made at the first use, apart from our lock file."""
    folder = cache_root() / "bench" / f"langchain-postgres-{THEIRS}"
    if not (folder / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        packages = [f"langchain-postgres=={THEIRS}", "psycopg[binary]", "numpy"]
        subprocess.run([folder / "bin/pip", "install", "-q", *packages], check=True)
        (folder / "done").touch()
    return folder / "bin/python"


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    python, rows = their_python(), given(options.rows)
    with running() as server, tempfile.TemporaryDirectory() as name:
        home = Path(name)
        server.stop()
        server.start(SETTINGS)
        np.save(home / "vectors.npy", rows.vectors)
        (home / "texts.json").write_text(json.dumps(rows.texts))
        tried = {batch: load_theirs(server, home, python, batch, 4000) for batch in (100, 500, 1000, 4000)}
        batch = min(tried, key=lambda size: tried[size])
        ours: list[Ours] = []
        theirs: list[float] = []
        for _ in range(options.rounds):
            ours.append(asyncio.run(load_ours(server, rows, home)))
            theirs.append(load_theirs(server, home, python, batch, options.rows))
        _print(options.rows, batch, ours, theirs, build_theirs(server))


def _print(rows: int, batch: int, ours: list[Ours], theirs: list[float], their_build: float) -> None:
    def rate(seconds: list[float]) -> str:
        middle = rows / statistics.median(seconds)
        return f"{middle:,.0f} | {rows / max(seconds):,.0f}-{rows / min(seconds):,.0f}"

    load = [one.load for one in ours]
    both = [one.load + one.documents for one in ours]
    ratio = statistics.median(theirs) / statistics.median(load)
    print(f"{rows:,} rows x {DIMENSIONS}, texts of 600 characters, fsync on, {len(ours)} alternating rounds\n")
    print("| what | rows/s, median | range | index build, s |\n|---|---|---|---|")
    build = statistics.median(one.build for one in ours)
    print(f"| rag-operator, index step | {rate(load)} | {build:.1f} (HNSW + BM25) |")
    print(f"| the same with its document rows | {rate(both)} | |")
    print(f"| langchain-postgres {THEIRS} PGVector, {batch} a call | {rate(theirs)} | {their_build:.1f} (HNSW alone) |")
    print(f"\nratio of medians: {ratio:.1f} x")


if __name__ == "__main__":
    main()
