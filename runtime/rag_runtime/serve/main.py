"""`rag-runtime serve`: from a configuration file to a process that answers."""

from __future__ import annotations

import os
from pathlib import Path

import uvloop

from rag_runtime.configuration import UnusableConfigurationError, load
from rag_runtime.contract.config import ServeConfig
from rag_runtime.serve.models import load_models
from rag_runtime.serve.process import Server
from rag_runtime.serve.service import Service, pod_name

DEFAULT_PORT = 8000


def run(config_path: Path) -> int:
    """Serve the pipeline of the document until SIGTERM; the exit code.

    Raises UnusableConfigurationError. RAG_HTTP_HOST and RAG_HTTP_PORT say where to listen (every address, 8000).
    """
    config = load(config_path)
    if not isinstance(config, ServeConfig):
        raise UnusableConfigurationError(f"kind: serve takes a Serve document, this is one of kind {config.kind}")
    host = os.environ.get("RAG_HTTP_HOST", "0.0.0.0")  # noqa: S104  a pod's only way to be reached
    port = int(os.environ.get("RAG_HTTP_PORT", DEFAULT_PORT))

    async def main() -> int:
        return await Server(Service(config, load_models(config), pod_name()), host, port).run_service()

    return uvloop.run(main())
