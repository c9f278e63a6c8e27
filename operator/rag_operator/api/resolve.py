"""What an absent field means where that depends on other fields, which a schema's default can't say."""

import hashlib
from dataclasses import dataclass

from rag_operator.api import embedders
from rag_operator.api.common import SecretKeyRef
from rag_operator.api.cron import spread
from rag_operator.api.endpoint import AuthorityRef
from rag_operator.api.formats import Duration
from rag_operator.api.pipeline import LLM, Embedding, RagPipelineSpec
from rag_operator.api.scaling import MetricType, Scaling, ScalingMetric
from rag_operator.api.tenant import RagTenantSpec

DEFAULT_REPLICAS = 2
DEFAULT_CANDIDATES = 40
DEFAULT_EF_CONSTRUCTION = 128
DEFAULT_EF_SEARCH = 100
DEFAULT_OVERLAP_PERCENT = 15
DEFAULT_CPU_PERCENT = 70


@dataclass(frozen=True, slots=True)
class EmbeddingProfile:
    """How text becomes vectors. `base_url` is empty for the built-in embedder."""

    model: str
    dimensions: int
    max_input_tokens: int
    base_url: str
    secret: SecretKeyRef | None
    ca: AuthorityRef | None
    query_prefix: str
    document_prefix: str
    batch_size: int
    max_concurrency: int
    timeout: Duration

    @property
    def built_in(self) -> bool:
        """Whether the vectors are made in the pod itself."""
        return not self.base_url


def embedding_profile(embedding: Embedding) -> EmbeddingProfile:
    """The profile of a valid spec; an endpoint's model and dimensions are there, by the rules."""
    endpoint = embedding.endpoint
    return EmbeddingProfile(
        model=embedding_model(embedding),
        dimensions=dimensions(embedding),
        max_input_tokens=max_input_tokens(embedding),
        base_url=endpoint.base_url if endpoint else "",
        secret=endpoint.secret_ref if endpoint else None,
        ca=endpoint.ca_ref if endpoint else None,
        query_prefix=embedding.query_prefix,
        document_prefix=embedding.document_prefix,
        batch_size=embedding.batch_size,
        max_concurrency=embedding.max_concurrency,
        timeout=embedding.timeout,
    )


def embedding_model(embedding: Embedding) -> str:
    """The model's name."""
    if embedding.endpoint:
        return embedding.model or ""
    return embedding.built_in.model.value if embedding.built_in else embedders.DEFAULT_BUILT_IN.value


def embedder_of(embedding: Embedding) -> embedders.Embedder | None:
    """Facts of the model, or None for one that isn't known."""
    if embedding.endpoint:
        return embedders.KNOWN.get(embedding.model or "")
    return embedders.BUILT_IN[embedding.built_in.model if embedding.built_in else embedders.DEFAULT_BUILT_IN]


def dimensions(embedding: Embedding) -> int:
    """Length of the vectors; 0 where an endpoint's dimensions are missing, which a rule refuses."""
    if embedding.endpoint:
        return embedding.dimensions or 0
    known = embedder_of(embedding)
    return known.max_dimensions if known else 0


def max_input_tokens(embedding: Embedding) -> int:
    """Tokens of text that the model takes at most."""
    if embedding.max_input_tokens is not None:
        return embedding.max_input_tokens
    known = embedder_of(embedding)
    return known.max_input_tokens if known else embedders.UNKNOWN_MODEL_TOKENS


def chunk_size(spec: RagPipelineSpec) -> int:
    """Tokens in a chunk: as given, else what suits the embedder and fits it."""
    if spec.chunking.size is not None:
        return spec.chunking.size
    known = embedder_of(spec.embedding)
    return min(known.chunk_size if known else 400, max_input_tokens(spec.embedding))


def chunk_overlap(spec: RagPipelineSpec) -> int:
    """Tokens that neighbouring chunks share."""
    if spec.chunking.overlap is not None:
        return spec.chunking.overlap
    return chunk_size(spec) * DEFAULT_OVERLAP_PERCENT // 100


def candidates(spec: RagPipelineSpec) -> int:
    """Passages that each search brings before fusion."""
    return spec.retrieval.candidates or max(DEFAULT_CANDIDATES, spec.retrieval.top_k)


def ef_construction(spec: RagPipelineSpec) -> int:
    """HNSW candidates while building; pgvector refuses fewer than 2 m."""
    return spec.index.hnsw.ef_construction or max(DEFAULT_EF_CONSTRUCTION, 2 * spec.index.hnsw.m)


def ef_search(spec: RagPipelineSpec) -> int:
    """HNSW candidates while searching; fewer than the asked rows would cut the result short."""
    return spec.index.hnsw.ef_search or max(DEFAULT_EF_SEARCH, candidates(spec))


def llm_name(llm: LLM) -> str:
    """Name of the answering model: of the chat model, or of the built-in answerer."""
    if llm.models:
        return llm.models[0].name or llm.models[0].model
    return llm.built_in.model.value if llm.built_in else "Extractive"


@dataclass(frozen=True, slots=True)
class Replicas:
    """Number of query pods: `fixed`, or a range that an autoscaler owns (`fixed` is None then)."""

    fixed: int | None
    minimum: int
    maximum: int
    metrics: tuple[ScalingMetric, ...] = ()

    @property
    def autoscaled(self) -> bool:
        """Whether an autoscaler owns the number."""
        return self.fixed is None


def replicas(scaling: Scaling) -> Replicas:
    """Number of query pods; 2 where nothing is said, so that one may leave at any time."""
    if scaling.min_replicas is not None and scaling.max_replicas is not None:
        asked = scaling.metrics or (ScalingMetric(type=MetricType.CPU),)
        metrics = tuple(_with_percent(metric) for metric in asked)
        return Replicas(None, scaling.min_replicas, scaling.max_replicas, metrics)
    fixed = DEFAULT_REPLICAS if scaling.replicas is None else scaling.replicas
    return Replicas(fixed, fixed, fixed)


def _with_percent(metric: ScalingMetric) -> ScalingMetric:
    if metric.type is not MetricType.CPU or metric.average_utilization_percent is not None:
        return metric
    return metric.model_copy(update={"average_utilization_percent": DEFAULT_CPU_PERCENT})


def managed_cache(spec: RagPipelineSpec) -> bool:
    """Whether the operator runs the Redis."""
    return spec.cache.secret_ref is None


def schedule(pipeline: RagPipelineSpec, tenant: RagTenantSpec, namespace: str, name: str) -> str:
    """The tenant's cron schedule: its own as it is, or the pipeline's, spread by a hash of the tenant's name."""
    if tenant.schedule is not None:
        return tenant.schedule
    digest = hashlib.sha256(f"{namespace}/{name}".encode()).digest()
    return spread(pipeline.ingestion.schedule, int.from_bytes(digest[:4]))
