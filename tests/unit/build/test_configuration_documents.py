"""The runtime reads back exactly what the operator meant, and the name of a ConfigMap says its content."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pytest

from rag_operator.build import config, ingest, query
from rag_runtime.configuration import load
from rag_runtime.contract.config import DirectorySource, HttpSource, IndexType, IngestConfig, ServeConfig
from tests.unit.build.samples import CATALOG, HOSTED, PIPELINES, TENANTS, pipeline, tenant, tenant_names

OF_ALL = TENANTS["of all sources"]


@pytest.mark.parametrize("about", PIPELINES)
def test_a_serve_document_is_read_back_as_it_was(about: str) -> None:
    document = config.serve_config(PIPELINES[about], CATALOG, ())
    assert ServeConfig.model_validate(json.loads(config.render(document))) == document


@pytest.mark.parametrize("about", PIPELINES)
def test_an_ingest_document_is_read_back_as_it_was(about: str) -> None:
    document = config.ingest_config(PIPELINES[about], OF_ALL, tenant_names(OF_ALL), ())
    assert IngestConfig.model_validate(json.loads(config.render(document))) == document


@pytest.mark.parametrize("prompt", ["Be kind \U0001f642", "\x7f \x85 \u2028 \ufeff \ud7ff \U0010ffff"], ids=ascii)
def test_a_pod_reads_every_character_of_a_prompt(prompt: str, tmp_path: Path) -> None:
    document = config.serve_config(pipeline(HOSTED | {"llm": HOSTED["llm"] | {"systemPrompt": prompt}}), CATALOG, ())
    path = tmp_path / config.CONFIG_FILE
    path.write_text(config.render(document), "utf-8")
    assert load(path) == document


def test_a_cache_that_is_off_stays_off() -> None:
    document = config.serve_config(PIPELINES["hosted"], CATALOG, ())
    read = ServeConfig.model_validate(json.loads(config.render(document)))
    assert read.cache.exact_ttl_seconds is None
    assert read.cache.embedding_ttl_seconds == 1, "Redis refuses a lifetime of 0"


def test_paths_are_where_the_pods_mount_them() -> None:
    document = config.serve_config(PIPELINES["hosted"], CATALOG, ())
    (profile,) = document.profiles.values()
    assert profile.endpoint is not None
    assert profile.endpoint.api_key_file == PurePosixPath("/etc/rag/keys/openai/api-key")
    assert document.answering.model is not None
    assert document.answering.model.endpoint.api_key_file == PurePosixPath("/etc/rag/keys/openai/chat")
    assert document.cache.url_file == PurePosixPath("/etc/rag/cache/url")
    assert document.database.credentials == PurePosixPath("/etc/rag/database")
    assert {str(ref.key) for ref in config.key_refs(document)} == {"api-key", "chat"}
    assert config.key_refs_of(PIPELINES["hosted"].spec) == config.key_refs(document)


def test_queries_keep_the_profiles_of_revisions_that_still_answer() -> None:
    former = config.embedding_profile(PIPELINES["hosted"].spec)
    document = config.serve_config(PIPELINES["minimal"], CATALOG, (former,))
    assert document.profiles.keys() == {former.identity, config.embedding_profile(PIPELINES["minimal"].spec).identity}
    assert [str(ref.name) for ref in config.key_refs(document)] == ["openai"]


def test_a_moved_key_is_read_from_its_new_place() -> None:
    moved = pipeline(HOSTED | {"embedding": HOSTED["embedding"] | {"endpoint": {"secretRef": {"name": "elsewhere"}}}})
    document = config.serve_config(moved, CATALOG, (config.embedding_profile(PIPELINES["hosted"].spec),))
    (profile,) = document.profiles.values()
    assert profile.endpoint is not None
    assert str(profile.endpoint.api_key_file) == "/etc/rag/keys/elsewhere/api-key"


def test_ingestion_keeps_other_live_profiles_besides_its_own() -> None:
    former = config.embedding_profile(PIPELINES["hosted"].spec)
    document = config.ingest_config(PIPELINES["minimal"], OF_ALL, tenant_names(OF_ALL), (former,))
    assert document.profiles == {former.identity: former}
    own = config.ingest_config(PIPELINES["hosted"], OF_ALL, tenant_names(OF_ALL), (former,))
    assert own.profiles == {}
    assert [str(ref.name) for ref in config.key_refs(document)] == ["openai"]
    assert config.key_refs(own) == config.key_refs(document)


def test_sources_become_directories_and_pages() -> None:
    allowed = {"database": {"managed": {}}, "ingestion": {"sources": {"allowedHosts": ["docs.example.com"]}}}
    document = config.ingest_config(pipeline(allowed), OF_ALL, tenant_names(OF_ALL), ())
    handbook, volume, site = document.sources
    assert handbook.source == DirectorySource(root=PurePosixPath("/etc/rag/sources/handbook"))
    assert (handbook.include, handbook.metadata) == (["**/*.md"], {"a": "b"})
    assert volume.source == DirectorySource(root=PurePosixPath("/etc/rag/sources") / ("a" * 63), path="/docs")
    assert site.source == HttpSource(urls=["https://acme.example/help"], depth=1, allowed_hosts=["docs.example.com"])


def test_the_index_shape_is_resolved() -> None:
    shape = config.index_shape(PIPELINES["minimal"].spec)
    assert (shape.profile.model, shape.profile.dimensions) == ("all-MiniLM-L6-v2", 384)
    assert (shape.chunking.size, shape.chunking.overlap) == (200, 30)
    assert (shape.type, shape.m, shape.ef_construction) == (IndexType.HNSW, 16, 128)


def test_where_a_key_lies_does_not_ask_for_a_new_index() -> None:
    moved = pipeline(HOSTED | {"embedding": HOSTED["embedding"] | {"endpoint": {"secretRef": {"name": "elsewhere"}}}})
    assert config.index_shape(moved.spec).spec_hash == config.index_shape(PIPELINES["hosted"].spec).spec_hash


def test_a_config_map_is_named_by_its_content() -> None:
    one = query.runtime_config_map(pipeline(), config.serve_config(pipeline(), CATALOG, ()))
    same = query.runtime_config_map(pipeline(), config.serve_config(pipeline(), CATALOG, ()))
    other_spec = pipeline({"database": {"managed": {}}, "retrieval": {"topK": 3}})
    other = query.runtime_config_map(other_spec, config.serve_config(other_spec, CATALOG, ()))
    assert one == same
    assert one["metadata"]["name"] != other["metadata"]["name"]
    assert one["immutable"] is True


def test_what_does_not_concern_ingestion_leaves_its_configuration_alone() -> None:
    def name(spec: dict[str, object]) -> str:
        of = pipeline(spec)
        document = config.ingest_config(of, OF_ALL, tenant_names(OF_ALL), ())
        return str(ingest.ingest_config_map(OF_ALL, document)["metadata"]["name"])

    assert name({"database": {"managed": {}}}) == name({"database": {"managed": {}}, "retrieval": {"topK": 3}})


def test_a_tenants_document_names_its_schema_and_incarnation() -> None:
    acme = tenant()
    document = config.ingest_config(PIPELINES["minimal"], acme, tenant_names(acme), ())
    assert document.tenant_schema == tenant_names(acme).schema
    assert document.tenant_id == "00000000-0000-4000-8000-000000000001"
    assert (document.pipeline, document.tenant) == ("rag/support", "rag/acme")
