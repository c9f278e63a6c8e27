"""The configuration documents of the runtime, from what users declared. Values are resolved; no secret is in them."""

import json
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

from rag_operator.api import names, resolve
from rag_operator.api.common import SecretKeyRef
from rag_operator.api.endpoint import AuthorityRef, Endpoint
from rag_operator.api.formats import DataKey, ObjectName
from rag_operator.api.pipeline import LLM, RagPipeline, RagPipelineSpec
from rag_operator.api.tenant import RagTenant, Source
from rag_operator.build import authorities
from rag_operator.build.common import KEYS_FOLDER
from rag_runtime.contract import config as contract
from rag_runtime.contract.names import CatalogNames, TenantNames

CONFIG_FOLDER = PurePosixPath("/etc/rag/config")
CONFIG_FILE = "config.json"
DATABASE_FOLDER = PurePosixPath("/etc/rag/database")
CACHE_FOLDER = PurePosixPath("/etc/rag/cache")
CACHE_URL_KEY = "url"
CACHE_CA_KEY = "ca"
SOURCES_FOLDER = PurePosixPath("/etc/rag/sources")


def render(document: contract.Document) -> str:
    """The document as the text of a ConfigMap, the same for equal documents.

    Unlike `Document.canonical` it keeps nulls: an absent field would be read as its default, so a cache that is
    switched off (`exactTtlSeconds: null`) would come back on.
    """
    return json.dumps(document.model_dump(mode="json", by_alias=True), sort_keys=True, indent=1) + "\n"


def config_map(metadata: dict[str, Any], text: str) -> dict[str, Any]:
    """An immutable ConfigMap: its name says its content, so nobody changes it under running pods."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "immutable": True,
        "data": {CONFIG_FILE: text},
    }


def content_hash(text: str) -> str:
    """What names a ConfigMap: a hash of the very text, so that another rendering is another object."""
    return names.short_hash(text, 12)


def embedding_profile(spec: RagPipelineSpec) -> contract.EmbeddingProfile:
    """The profile that the next revision's vectors are made with."""
    profile = resolve.embedding_profile(spec.embedding)
    return contract.EmbeddingProfile(
        endpoint=None if profile.built_in else _endpoint(profile.base_url, profile.secret, profile.ca),
        model=profile.model,
        dimensions=profile.dimensions,
        max_input_tokens=profile.max_input_tokens,
        query_prefix=profile.query_prefix,
        document_prefix=profile.document_prefix,
    )


def index_shape(spec: RagPipelineSpec) -> contract.IndexShape:
    """What the spec wants an index to be; its `spec_hash` differs from the active revision's when one must be built."""
    return contract.IndexShape(
        profile=embedding_profile(spec),
        chunking=contract.Chunking(
            strategy=spec.chunking.strategy.value,
            size=resolve.chunk_size(spec),
            overlap=resolve.chunk_overlap(spec),
        ),
        type=contract.IndexType(spec.index.type.value),
        quantization=contract.Quantization(spec.index.quantization.value),
        m=spec.index.hnsw.m,
        ef_construction=resolve.ef_construction(spec),
    )


def serve_config(
    pipeline: RagPipeline, catalog: CatalogNames, retained_profiles: Sequence[contract.EmbeddingProfile]
) -> contract.ServeConfig:
    """Configuration of the query pods: every profile that a live or retained revision uses, and the next one's."""
    spec = pipeline.spec
    return contract.ServeConfig(
        pipeline=_full_name(pipeline),
        database=contract.Database(credentials=DATABASE_FOLDER, schema_=catalog.schema),
        cache=_cache(spec),
        profiles=_by_identity((*retained_profiles, embedding_profile(spec))),
        embedding=_embedding_calls(spec),
        retrieval=_retrieval(spec),
        answering=_answering(spec.llm),
    )


def ingest_config(
    pipeline: RagPipeline,
    tenant: RagTenant,
    tenant_names: TenantNames,
    live_profiles: Sequence[contract.EmbeddingProfile],
) -> contract.IngestConfig:
    """Configuration of a tenant's ingestion; `live_profiles` are those of the revisions that it keeps fresh."""
    spec = pipeline.spec
    shape = index_shape(spec)
    return contract.IngestConfig(
        pipeline=_full_name(pipeline),
        tenant=_full_name(tenant),
        tenant_id=str(tenant_names.incarnation),
        database=contract.Database(credentials=DATABASE_FOLDER, schema_=tenant_names.catalog.schema),
        tenant_schema=tenant_names.schema,
        sources=[_source(spec, source) for source in tenant.spec.sources],
        shape=shape,
        embedding=_embedding_calls(spec),
        max_file_bytes=spec.ingestion.max_file_size.bytes,
        profiles={
            key: profile for key, profile in _by_identity(live_profiles).items() if key != shape.profile.identity
        },
    )


def _by_identity(profiles: Iterable[contract.EmbeddingProfile]) -> dict[str, contract.EmbeddingProfile]:
    """Of two alike, which differ in the place of their key only, the last."""
    return {profile.identity: profile for profile in profiles}


def source_folder(name: str) -> PurePosixPath:
    """Where a ConfigMap or volume of a tenant is mounted."""
    return SOURCES_FOLDER / name


def key_file(ref: SecretKeyRef) -> PurePosixPath:
    """Where the pods find an endpoint's key."""
    return KEYS_FOLDER / ref.name / ref.key


def key_refs(document: contract.ServeConfig | contract.IngestConfig) -> tuple[SecretKeyRef, ...]:
    """The Secrets' keys that a configuration's endpoints read, which its pods must mount."""
    endpoints = [profile.endpoint for profile in _profiles_of(document)]
    if isinstance(document, contract.ServeConfig):
        endpoints.append(document.answering.model.endpoint if document.answering.model else None)
    files = {endpoint.api_key_file for endpoint in endpoints if endpoint and endpoint.api_key_file}
    return tuple(_key_ref(file) for file in sorted(files) if file.is_relative_to(KEYS_FOLDER))


def _profiles_of(document: contract.ServeConfig | contract.IngestConfig) -> Iterable[contract.EmbeddingProfile]:
    own = [document.shape.profile] if isinstance(document, contract.IngestConfig) else []
    return (*own, *document.profiles.values())


def embedding_key_refs(spec: RagPipelineSpec) -> tuple[SecretKeyRef, ...]:
    """The Secret's key of the spec's own embedding endpoint."""
    endpoint = spec.embedding.endpoint
    return (endpoint.secret_ref,) if endpoint and endpoint.secret_ref else ()


def key_refs_of(spec: RagPipelineSpec) -> tuple[SecretKeyRef, ...]:
    """The Secrets' keys of all endpoints of a spec."""
    models = [model.endpoint.secret_ref for model in spec.llm.models or ()]
    return (*embedding_key_refs(spec), *(ref for ref in models if ref))


def _key_ref(file: PurePosixPath) -> SecretKeyRef:
    secret_name, key = file.relative_to(KEYS_FOLDER).parts
    return SecretKeyRef(name=ObjectName(secret_name), key=DataKey(key))


def _full_name(resource: RagPipeline | RagTenant) -> str:
    return f"{resource.metadata.namespace}/{resource.metadata.name}"


def _endpoint(base_url: str, ref: SecretKeyRef | None, ca: AuthorityRef | None) -> contract.Endpoint:
    return contract.Endpoint(
        base_url=base_url, api_key_file=key_file(ref) if ref else None, ca_file=authorities.file_of(ca)
    )


def _declared(endpoint: Endpoint) -> contract.Endpoint:
    return _endpoint(str(endpoint.base_url), endpoint.secret_ref, endpoint.ca_ref)


def _cache(spec: RagPipelineSpec) -> contract.Cache:
    exact, embedding = spec.cache.exact, spec.cache.embedding
    return contract.Cache(
        url_file=CACHE_FOLDER / CACHE_URL_KEY,
        exact_ttl_seconds=_whole_seconds(exact.ttl.seconds) if exact.enabled else None,
        embedding_ttl_seconds=_whole_seconds(embedding.ttl.seconds) if embedding.enabled else None,
    )


def _whole_seconds(seconds: float) -> int:
    """At least one, because Redis refuses a lifetime of zero."""
    return max(1, round(seconds))


def _embedding_calls(spec: RagPipelineSpec) -> contract.EmbeddingCalls:
    embedding = spec.embedding
    return contract.EmbeddingCalls(
        batch_size=embedding.batch_size,
        max_concurrency=embedding.max_concurrency,
        timeout_seconds=embedding.timeout.seconds,
    )


def _retrieval(spec: RagPipelineSpec) -> contract.Retrieval:
    retrieval = spec.retrieval
    return contract.Retrieval(
        mode=contract.RetrievalMode(retrieval.mode.value),
        top_k=retrieval.top_k,
        candidates=resolve.candidates(spec),
        min_score=retrieval.min_score.value,
        vector_weight=retrieval.fusion.vector_weight.value,
        lexical_weight=retrieval.fusion.lexical_weight.value,
        ef_search=resolve.ef_search(spec),
        timeout_seconds=retrieval.timeout.seconds,
    )


def _answering(llm: LLM) -> contract.Answering:
    defaults = contract.Answering()
    model = llm.models[0] if llm.models else None
    return contract.Answering(
        model=contract.ChatModel(name=resolve.llm_name(llm), model=model.model, endpoint=_declared(model.endpoint))
        if model
        else None,
        timeout_seconds=llm.timeout.seconds,
        max_output_tokens=llm.max_output_tokens,
        temperature=llm.temperature.value,
        system_prompt=llm.system_prompt or defaults.system_prompt,
        no_answer=llm.no_answer,
    )


def _source(spec: RagPipelineSpec, source: Source) -> contract.SourceConfig:
    return contract.SourceConfig(
        name=str(source.name),
        source=_reader(spec, source),
        include=list(source.include),
        exclude=list(source.exclude),
        metadata={str(key): value for key, value in source.metadata.items()},
    )


def _reader(spec: RagPipelineSpec, source: Source) -> contract.DirectorySource | contract.HttpSource:
    if source.http:
        return contract.HttpSource(
            urls=[str(url) for url in source.http.urls],
            depth=source.http.depth,
            allowed_hosts=[str(host) for host in spec.ingestion.sources.allowed_hosts],
            ca_file=authorities.file_of(spec.ingestion.sources.ca_ref),
        )
    path = source.volume.path if source.volume else "/"
    return contract.DirectorySource(root=source_folder(source.name), path=path)
