from __future__ import annotations

from typing import Any

import pytest

from rag_runtime.contract.config import Answering, ChatModel, EmbeddingCalls, EmbeddingProfile, Endpoint
from rag_runtime.models.builtin import BuiltInEmbedder, BuiltInQuestionEmbedder
from rag_runtime.models.chat import ChatAnswerer
from rag_runtime.models.errors import PermanentError
from rag_runtime.models.extractive import ExtractiveAnswerer
from rag_runtime.models.factory import answerer, document_embedder, question_embedder, tokenizer
from rag_runtime.models.openai import OpenAIEmbedder
from rag_runtime.models.query_embedding import EndpointQuestionEmbedder

ENDPOINT = Endpoint(base_url="http://models.example/v1")
CALLS = EmbeddingCalls()


async def test_without_an_endpoint_everything_is_built_in() -> None:
    embedders = [document_embedder(EmbeddingProfile(), CALLS), question_embedder(EmbeddingProfile(), CALLS)]
    assert [type(one) for one in embedders] == [BuiltInEmbedder, BuiltInQuestionEmbedder]
    assert [one.dimensions for one in embedders] == [384, 384]
    assert isinstance(answerer(Answering()), ExtractiveAnswerer)
    for one in embedders:
        await one.close()


async def test_an_endpoint_gets_clients() -> None:
    profile = EmbeddingProfile(endpoint=ENDPOINT, model="m", dimensions=1536)
    embedders = [document_embedder(profile, CALLS), question_embedder(profile, CALLS)]
    assert [type(one) for one in embedders] == [OpenAIEmbedder, EndpointQuestionEmbedder]
    assert [one.dimensions for one in embedders] == [1536, 1536]
    chat = answerer(Answering(model=ChatModel(name="main", model="small-chat", endpoint=ENDPOINT)))
    assert isinstance(chat, ChatAnswerer)
    assert chat.model == "small-chat"
    for one in embedders:
        await one.close()


@pytest.mark.parametrize("profile", [{"dimensions": 768}, {"model": "text-embedding-3-small"}])
def test_the_built_in_model_is_refused_under_another_name_or_size(profile: dict[str, Any]) -> None:
    for build in (document_embedder, question_embedder):
        with pytest.raises(PermanentError, match="the built-in embedder is all-MiniLM-L6-v2 with 384 dimensions"):
            build(EmbeddingProfile(**profile), CALLS)


def test_the_tokenizer_counts_without_special_tokens() -> None:
    found = tokenizer(EmbeddingProfile())
    assert found.count("") == 0
    assert found.count("the relief valve") == 3
    assert found.count("x" * 150) == 150, "an unknown word counts its characters"
    spans = found.spans("Über unaffable")
    assert (spans.starts[0], spans.ends[0]) == (0, 4)
    assert spans.heads.tolist()[:2] == [True, True]
