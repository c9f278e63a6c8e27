"""`rag-runtime serve`: from a configuration file to a process that answers."""

from __future__ import annotations

import os
from pathlib import Path

import uvloop
import yaml

from rag_runtime.contract.config import ServeConfig, check_version
from rag_runtime.serve.models import load_models
from rag_runtime.serve.process import serve
from rag_runtime.serve.service import Service, pod_name

DEFAULT_PORT = 8000


def run(config_path: Path) -> int:
    """Serve the pipeline of the document until SIGTERM; the exit code.

    Raises OSError, UnknownContractError and pydantic's ValidationError for a document that can't be used.
    RAG_HTTP_HOST and RAG_HTTP_PORT say where to listen (default: every address, 8000).
    """
    config = load_config(config_path)
    host = os.environ.get("RAG_HTTP_HOST", "0.0.0.0")  # noqa: S104  a pod's only way to be reached
    port = int(os.environ.get("RAG_HTTP_PORT", DEFAULT_PORT))

    async def main() -> int:
        return await serve(Service(config, load_models(config), pod_name()), host, port)

    return uvloop.run(main())


def load_config(path: Path) -> ServeConfig:
    """The document at `path`, YAML or JSON."""
    raw = yaml.safe_load(path.read_text())
    check_version(raw if isinstance(raw, dict) else {})
    return ServeConfig.model_validate(raw)
