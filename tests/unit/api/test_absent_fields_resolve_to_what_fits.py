from __future__ import annotations

from typing import Any

import pytest

from rag_operator.api import resolve
from rag_operator.api.cron import is_schedule
from rag_operator.api.pipeline import RagPipelineSpec
from rag_operator.api.tenant import RagTenantSpec

OWN = {"endpoint": {"baseURL": "http://m/v1"}, "model": "own", "dimensions": 8}


def spec(**given: Any) -> RagPipelineSpec:
    return RagPipelineSpec.model_validate({"database": {"managed": {}}} | given)


def tenant(**given: Any) -> RagTenantSpec:
    return RagTenantSpec.model_validate({"pipelineRef": {"name": "p"}} | given)


def test_nothing_said_means_the_built_in_embedder() -> None:
    profile = resolve.embedding_profile(spec().embedding)
    assert (profile.model, profile.dimensions, profile.max_input_tokens) == ("all-MiniLM-L6-v2", 384, 254)
    assert profile.built_in
    assert profile.secret is None


def test_an_endpoint_is_as_it_was_given() -> None:
    given = {"endpoint": {"secretRef": {"name": "openai"}}, "model": "text-embedding-3-small", "dimensions": 512}
    profile = resolve.embedding_profile(spec(embedding=given).embedding)
    assert (profile.base_url, profile.dimensions, profile.max_input_tokens) == ("https://api.openai.com/v1", 512, 8191)
    assert profile.secret is not None
    assert (profile.secret.name, profile.secret.key) == ("openai", "api-key")
    assert not profile.built_in


@pytest.mark.parametrize(
    ("embedding", "chunking", "size", "overlap"),
    [
        ({}, {}, 200, 30),
        (OWN, {}, 400, 60),
        (OWN | {"maxInputTokens": 128}, {}, 128, 19),
        ({"maxInputTokens": 100}, {}, 100, 15),
        ({}, {"size": 250, "overlap": 0}, 250, 0),
    ],
)
def test_a_chunk_fits_its_embedder(embedding: Any, chunking: Any, size: int, overlap: int) -> None:
    given = spec(embedding=embedding, chunking=chunking)
    assert (resolve.chunk_size(given), resolve.chunk_overlap(given)) == (size, overlap)
    assert size <= resolve.max_input_tokens(given.embedding)


def test_a_large_top_k_raises_what_feeds_it() -> None:
    assert (resolve.candidates(spec()), resolve.ef_search(spec())) == (40, 100)
    assert resolve.candidates(spec(retrieval={"topK": 50})) == 50
    assert resolve.ef_search(spec(retrieval={"candidates": 150})) == 150
    assert resolve.ef_search(spec(retrieval={"candidates": 150}, index={"hnsw": {"efSearch": 80}})) == 80


def test_a_dense_graph_is_built_with_enough_candidates() -> None:
    assert resolve.ef_construction(spec()) == 128
    assert resolve.ef_construction(spec(index={"hnsw": {"m": 100}})) == 200
    assert resolve.ef_construction(spec(index={"hnsw": {"m": 100, "efConstruction": 300}})) == 300


def test_two_pods_unless_said_otherwise() -> None:
    assert resolve.replicas(spec().scaling) == resolve.Replicas(2, 2, 2)
    assert resolve.replicas(spec(scaling={"replicas": 5}).scaling).fixed == 5
    given = resolve.replicas(spec(scaling={"minReplicas": 2, "maxReplicas": 9}).scaling)
    assert given.autoscaled
    assert (given.minimum, given.maximum) == (2, 9)
    assert [metric.average_utilization_percent for metric in given.metrics] == [70]


def test_an_answerer_has_a_name() -> None:
    assert resolve.llm_name(spec().llm) == "Extractive"
    model = {"model": "gpt-4o-mini", "endpoint": {}}
    assert resolve.llm_name(spec(llm={"models": [model]}).llm) == "gpt-4o-mini"
    assert resolve.llm_name(spec(llm={"models": [model | {"name": "small"}]}).llm) == "small"


def test_a_cache_is_managed_unless_a_secret_leads_elsewhere() -> None:
    assert resolve.managed_cache(spec())
    assert not resolve.managed_cache(spec(cache={"secretRef": {"name": "redis"}}))


def test_tenants_share_the_minutes_of_the_default_schedule() -> None:
    made = [resolve.schedule(spec(), tenant(), "rag", f"tenant-{i}") for i in range(1500)]
    assert all(map(is_schedule, made))
    shares = [made.count(schedule) for schedule in set(made)]
    assert len(shares) == 15
    assert max(shares) < 150
    assert resolve.schedule(spec(), tenant(), "rag", "acme") == resolve.schedule(spec(), tenant(), "rag", "acme")


def test_a_tenants_own_schedule_stays() -> None:
    assert resolve.schedule(spec(), tenant(schedule="0 3 * * *"), "rag", "acme") == "0 3 * * *"
