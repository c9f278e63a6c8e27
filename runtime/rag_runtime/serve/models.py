"""The models that the configuration names."""

from __future__ import annotations

from rag_runtime.contract.config import ServeConfig
from rag_runtime.models.builtin import BuiltInQuestionEmbedder
from rag_runtime.serve.service import Models


def load_models(config: ServeConfig) -> Models:
    """Embedders of every profile, the answering model, and the extractive answerer behind it."""
    raise NotImplementedError
