"""The command line `rag-runtime`: ingest, serve, check."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from rag_runtime.configuration import UnusableConfigurationError, load
from rag_runtime.contract.config import IngestConfig, ServeConfig
from rag_runtime.logs import configure

if TYPE_CHECKING:
    from rag_runtime.ingest.run import Run

log = logging.getLogger(__name__)
MISCONFIGURED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the process's exit code: 0 fine, 1 failed (try again), 2 the configuration can't be used."""
    options = _parser().parse_args(arguments)
    configure(level=os.environ.get("RAG_LOG_LEVEL", "INFO").upper())
    try:
        config = load(options.config)
    except UnusableConfigurationError as error:
        for line in str(error).splitlines():
            log.error("%s", line)
        return MISCONFIGURED
    match options.command:
        case "check":
            print(f"{options.config}: a valid {config.kind} document of contract version {config.contract_version}")
            return 0
        case "ingest":
            return _ingest(config)
        case _:
            return _serve(config, options.config)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rag-runtime", description="Ingestion and query service of rag-operator.")
    parser.add_argument("--version", action="version", version=f"rag-runtime {version('rag-operator')}")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("ingest", "sync a tenant's sources and index what changed, once"),
        ("serve", "answer queries"),
        ("check", "validate a configuration document"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--config", type=Path, required=True, metavar="FILE", help="YAML or JSON document")
        if name == "ingest":
            command.add_argument("--once", action="store_true", default=True, help="one run, then end (the default)")
    return parser


def _ingest(config: IngestConfig | ServeConfig) -> int:
    if not isinstance(config, IngestConfig):
        log.error("kind: `ingest` takes an Ingest document, this is one of kind %s", config.kind)
        return MISCONFIGURED
    from rag_runtime.ingest.run import Run  # noqa: PLC0415 - parsers and models are not needed to check or serve

    return asyncio.run(_until_signalled(Run(config, f"{socket.gethostname()}-{uuid4().hex[:8]}")))


async def _until_signalled(run: Run) -> int:
    """Run with SIGTERM and SIGINT cancelling it, once: a second one is not needed and must not break the clean end."""
    task = asyncio.create_task(run.run())
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, lambda: None)
        task.cancel()

    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stop)
    return await task


def _serve(config: IngestConfig | ServeConfig, path: Path) -> int:
    if not isinstance(config, ServeConfig):
        log.error("kind: `serve` takes a Serve document, this is one of kind %s", config.kind)
        return MISCONFIGURED
    from rag_runtime.serve import main as serve  # noqa: PLC0415 - the HTTP stack is not needed to ingest

    with contextlib.suppress(KeyboardInterrupt):
        return int(serve.run(path) or 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
