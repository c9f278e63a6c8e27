"""Sync and index of real manual pages with the built-in embedder: pages/s, chunks/s, and where the time goes.

    python -m tests.bench.ingest.manpages [--pages 2000] [--seconds 600] [--size 200]

Pages are those of the machine's packages, evenly spaced over all sections, rendered by groff to text beforehand. Where
a machine has none, the packages manpages and manpages-dev are unpacked into a temporary folder. Index is cancelled
after `--seconds` (as a Job by SIGTERM), and the table says how far it came; the second sync is over unchanged input.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from rag_runtime.contract.config import Chunking, DirectorySource, EmbeddingProfile, IndexShape, IngestConfig
from rag_runtime.contract.config import SourceConfig as SourceOf
from rag_runtime.ingest import batches, revisions
from rag_runtime.ingest.embedding import PatientEmbedder
from rag_runtime.ingest.index import Indexer
from rag_runtime.ingest.parse import Sandbox
from rag_runtime.ingest.run import Run
from rag_runtime.ingest.sources.directory import DirectoryReader
from rag_runtime.ingest.sync import Sync
from tests.support.catalog import lay_catalog
from tests.support.postgres import running

INSTALLED = Path("/usr/share/man")
PACKAGES = ("manpages", "manpages-dev")


@dataclass(frozen=True)
class Timers:
    """Seconds that were spent in what was wrapped, by name; parts that overlap count twice."""

    seconds: dict[str, float]

    def wrap(self, owner: Any, method: str, name: str) -> None:
        """Time an async method or function of `owner`."""
        original = getattr(owner, method)

        async def timed(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            try:
                return await original(*args, **kwargs)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun

        setattr(owner, method, timed)


def sources(wanted: int, scratch: Path) -> list[Path]:
    """That many compressed pages, evenly spaced over what there is."""
    found = _pages(INSTALLED)
    if len(found) < wanted:
        for package in PACKAGES:
            subprocess.run(["apt-get", "download", "-q", package], cwd=scratch, check=True, capture_output=True)
        for archive in scratch.glob("*.deb"):
            subprocess.run(["dpkg", "-x", archive, scratch / "unpacked"], check=True)
        found = _pages(scratch / "unpacked/usr/share/man")
    step = max(1.0, len(found) / wanted)
    return [found[int(i * step)] for i in range(min(wanted, len(found)))]


def _pages(root: Path) -> list[Path]:
    """Pages that are no links and no redirections to another page."""
    files = (path for path in sorted(root.glob("man[1-8]/*.gz")) if not path.is_symlink())
    return [path for path in files if path.stat().st_size > 300]


def render(pages: list[Path], folder: Path) -> int:
    """Write each page as text; bytes of all."""

    def one(page: Path) -> int:
        roff = gzip.decompress(page.read_bytes())
        command = ["groff", "-mandoc", "-Tutf8", "-P-cbou", "-rLL=100n"]
        text = subprocess.run(command, input=roff, capture_output=True, check=False).stdout
        (folder / f"{page.name.removesuffix('.gz')}.txt").write_bytes(text)
        return len(text)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return sum(pool.map(one, pages))


async def measure(options: argparse.Namespace, folder: Path, home: Path, dsn: str) -> None:
    """Run, and print the tables."""
    catalog = lay_catalog(dsn)
    tenant = catalog.add_tenant("manpages")
    config = IngestConfig(
        pipeline="bench/manpages",
        tenant="bench/manpages",
        tenant_id=str(tenant.incarnation),
        database=catalog.credentials(home / "credentials", ingest=tenant.ingestion),
        tenant_schema=tenant.schema,
        sources=[SourceOf(name="man", source=DirectorySource(root=PurePosixPath(folder)))],
        shape=IndexShape(profile=EmbeddingProfile(), chunking=Chunking(size=options.size)),
    )
    timers = _timers()
    run = Run(config, "bench")
    task = asyncio.create_task(run.run())
    begun = time.perf_counter()
    await _synced(timers, task)
    synced = time.perf_counter()
    await asyncio.wait({task}, timeout=options.seconds)
    complete = task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    indexed = time.perf_counter()
    first = dict(timers.seconds)
    with catalog.connect() as owner:
        rows = owner.execute(
            f"SELECT count(DISTINCT document), count(*), avg(tokens)::int FROM {tenant.schema}.chunk_r1"
        ).fetchall()
    again = await _sync_again(config, timers)
    _print(run, rows[0], synced - begun, indexed - synced, complete)
    _print_parts(first, indexed - begun)
    print(f"\nsecond sync over unchanged input: {again:.2f} s, 0 parses")


async def _sync_again(config: IngestConfig, timers: Timers) -> float:
    """Seconds of a sync that finds everything as it was."""
    timers.seconds.clear()
    run = Run(config, "bench-again")
    task = asyncio.create_task(run.run())
    await _synced(timers, task)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert run.counts.parsed == 0
    return timers.seconds["sync, all"]


async def _synced(timers: Timers, task: asyncio.Task[int]) -> None:
    """Return when a run's sync is over."""
    while "sync, all" not in timers.seconds and not task.done():  # noqa: ASYNC110 - the run tells nobody
        await asyncio.sleep(0.02)


def _timers() -> Timers:
    timers = Timers({})
    timers.wrap(Sync, "run", "sync, all")
    timers.wrap(DirectoryReader, "fetch", "sync: read files")
    timers.wrap(Sandbox, "parse", "sync: parse in the sandbox (waiting for a turn included)")
    timers.wrap(Sync, "_commit", "sync: write documents")
    timers.wrap(Indexer, "_read", "index: read documents and chunk")
    timers.wrap(PatientEmbedder, "embed", "index: embed")
    timers.wrap(batches, "write", "index: write chunks (while the next batch is embedded)")
    timers.wrap(revisions, "build", "index: build HNSW and BM25")
    return timers


def _print(run: Run, rows: tuple[Any, ...], sync: float, index: float, complete: bool) -> None:
    documents, chunks, tokens = rows
    counts = run.counts
    how = "complete" if complete else "cancelled at the limit"
    print("| step | pages | chunks | seconds | pages/s | chunks/s |\n|---|---|---|---|---|---|")
    print(f"| sync | {counts.added} (failed {counts.failed}) | | {sync:.1f} | {counts.added / sync:.0f} | |")
    print(
        f"| index, {how} | {documents} | {chunks} of {tokens} tokens | {index:.1f} | {documents / index:.1f} |"
        f" {chunks / index:.1f} |\n"
    )


def _print_parts(parts: dict[str, float], whole: float) -> None:
    print("| where the time goes | seconds | share of the run |\n|---|---|---|")
    for name, seconds in sorted(parts.items()):
        print(f"| {name} | {seconds:.1f} | {100 * seconds / whole:.0f} % |")


def main() -> None:
    """Prepare the pages and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--size", type=int, default=200, help="tokens of a chunk")
    options = parser.parse_args()
    with running() as server, tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (folder := home / "pages").mkdir()
        pages = sources(options.pages, home)
        size = render(pages, folder)
        print(f"{len(pages)} manual pages, {size / 2**20:.1f} MiB of text, load before: {os.getloadavg()[0]:.1f}\n")
        asyncio.run(measure(options, folder, home, server.dsn()))


if __name__ == "__main__":
    main()
