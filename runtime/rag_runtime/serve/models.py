"""The models that the configuration names."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from rag_runtime.contract.config import ServeConfig
from rag_runtime.logs import fields
from rag_runtime.models import factory
from rag_runtime.models.errors import PermanentError
from rag_runtime.models.ports import Answerer, QuestionEmbedder

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Models:
    """What embeds questions and writes answers.

    `embedders` by profile identity; `local`: those that are loaded before the pod is ready. `model` None: the
    `extracts` are the answers; else they stand in for it.
    """

    embedders: Mapping[str, QuestionEmbedder]
    local: frozenset[str]
    model: Answerer | None
    extracts: Answerer


def load_models(config: ServeConfig) -> Models:
    """Question embedders of every profile, the answering model, and the extractive answerer behind it.

    A profile that can't be used is left out and said: tenants on it are searched by words, degraded.
    """
    embedders: dict[str, QuestionEmbedder] = {}
    for identity, profile in config.profiles.items():
        try:
            embedders[identity] = factory.question_embedder(profile, config.embedding)
        except PermanentError as error:
            logger.error("an embedding profile can't be used", extra=fields(profile=identity, error=str(error)))
    local = frozenset(identity for identity in embedders if config.profiles[identity].endpoint is None)
    model = factory.answerer(config.answering) if config.answering.model is not None else None
    extracts = factory.answerer(config.answering.model_copy(update={"model": None}))
    return Models(embedders, local, model, extracts)
