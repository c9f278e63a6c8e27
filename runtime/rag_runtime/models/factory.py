"""From the contract's configuration to embedders, tokenizers and answerers."""

from __future__ import annotations

import random

from rag_runtime.contract.config import Answering, EmbeddingCalls, EmbeddingProfile
from rag_runtime.models.bert import DIMENSIONS
from rag_runtime.models.builtin import MODEL, BuiltInEmbedder, BuiltInQuestionEmbedder
from rag_runtime.models.chat import ChatAnswerer
from rag_runtime.models.errors import PermanentError
from rag_runtime.models.extractive import ExtractiveAnswerer
from rag_runtime.models.ports import Answerer, DocumentEmbedder, QuestionEmbedder
from rag_runtime.models.query_embedding import EndpointQuestionEmbedder
from rag_runtime.models.tokenizer import Tokenizer, builtin_tokenizer


def document_embedder(profile: EmbeddingProfile, calls: EmbeddingCalls) -> DocumentEmbedder:
    """The embedder for ingestion. Raises PermanentError when the built-in model is asked for what it isn't.

    The `openai` client is imported only when an endpoint is used (0.8 s).
    """
    if profile.endpoint is None:
        _check_builtin(profile)
        return BuiltInEmbedder(prefix=profile.document_prefix)
    from rag_runtime.models.openai import OpenAIEmbedder  # noqa: PLC0415

    return OpenAIEmbedder(profile, profile.endpoint, calls, jitter=random.random)


def question_embedder(profile: EmbeddingProfile, calls: EmbeddingCalls) -> QuestionEmbedder:
    """The embedder for the query path, of the same profile. Raises PermanentError as `document_embedder`."""
    if profile.endpoint is None:
        _check_builtin(profile)
        return BuiltInQuestionEmbedder(prefix=profile.query_prefix)
    return EndpointQuestionEmbedder(profile, profile.endpoint, calls)


def answerer(answering: Answering) -> Answerer:
    """The answerer: the model behind its endpoint, or the built-in one that quotes."""
    if answering.model is None:
        return ExtractiveAnswerer(answering)
    return ChatAnswerer(answering, answering.model)


def tokenizer(profile: EmbeddingProfile) -> Tokenizer:
    """The tokenizer that sizes chunks for a profile: the built-in model's for every one, see `tokenizer`."""
    return builtin_tokenizer()


def _check_builtin(profile: EmbeddingProfile) -> None:
    if profile.model != MODEL or profile.dimensions != DIMENSIONS:
        raise PermanentError(
            f"the built-in embedder is {MODEL} with {DIMENSIONS} dimensions, not {profile.model!r} with "
            f"{profile.dimensions}; correct the embedding profile, or give it an endpoint"
        )
