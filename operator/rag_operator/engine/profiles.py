"""Embedding profiles that query pods need beside the spec's own: a revision answers with the model it was built with.

While the database is away they are those of the pods that run, so that its outage rolls none, whoever leads meanwhile.
"""

from __future__ import annotations

from pydantic import ValidationError

from rag_operator.api import names
from rag_operator.api.pipeline import RagPipeline
from rag_operator.build import config
from rag_operator.engine.context import Binding
from rag_operator.kube.client import Api
from rag_operator.kube.kinds import CONFIG_MAP, DEPLOYMENT
from rag_runtime.contract.config import EmbeddingProfile, ServeConfig


async def profiles_of(api: Api, pipeline: RagPipeline, binding: Binding | None) -> tuple[EmbeddingProfile, ...] | None:
    """As the catalog says, else as the configuration that the Deployment mounts; None where neither can be read."""
    if binding is not None:
        return binding.profiles
    meta = pipeline.metadata
    live = await api.get(DEPLOYMENT, meta.namespace, names.query(meta.name))
    volumes = live["spec"]["template"]["spec"].get("volumes", []) if live else []
    mounted = next((one["configMap"]["name"] for one in volumes if one["name"] == "config" and "configMap" in one), "")
    document = await api.get(CONFIG_MAP, meta.namespace, mounted) if mounted else None
    try:
        text = document.get("data", {}).get(config.CONFIG_FILE, "") if document else ""
        return tuple(ServeConfig.model_validate_json(text).profiles.values())
    except ValidationError:
        return None
