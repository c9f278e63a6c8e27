"""RagPipeline as a user writes it: one shared RAG service with its database, models and query pods."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from rag_operator.api.common import (
    DeletionPolicy,
    ListMap,
    ListSet,
    Metadata,
    Model,
    NameRef,
    Resources,
    unique,
    unique_by,
)
from rag_operator.api.endpoint import AuthorityRef, Endpoint
from rag_operator.api.formats import (
    AllowedHost,
    CatalogId,
    CronSchedule,
    Duration,
    ObjectName,
    RuntimeVersion,
    Score,
    Size,
    Temperature,
    TimeZone,
    Weight,
)
from rag_operator.api.network import Access
from rag_operator.api.observability import Observability
from rag_operator.api.pipeline_status import RagPipelineStatus
from rag_operator.api.pod import Pod, WorkloadPod
from rag_operator.api.scaling import Scaling
from rag_operator.api.tenancy import Tenancy


class ManagedDatabase(Model):
    """One Postgres pod with a volume, for trying out and small installations."""

    storage: Size = Size("10Gi")
    """Size of the volume."""
    storage_class_name: ObjectName | None = None
    """Storage class of the volume; absent means the cluster's default class."""
    pod: Pod = Pod()
    """What the pod carries, and on which node it runs. A change restarts it."""


class Database(Model):
    """Postgres 16 or later with pgvector 0.8 or later. Exactly one of secretRef and managed."""

    secret_ref: NameRef | None = None
    """A Secret with the key uri, or with host, port, dbname, username and password."""
    managed: ManagedDatabase | None = None
    """The operator runs one Postgres pod with a volume."""
    adopt: CatalogId = CatalogId("")
    """Id of an existing catalog to take over, after a cluster was rebuilt or a backup restored."""


class ManagedCache(Model):
    """One Redis pod without a volume."""

    memory: Size = Size("256Mi")
    """Memory for cached data; the oldest entries make room for new ones."""
    pod: Pod = Pod()
    """What the pod carries, and on which node it runs. A change restarts it."""


class ExactCache(Model):
    """Answers to literally the same question."""

    enabled: bool = True
    """Whether this cache is used."""
    ttl: Duration = Duration("4h")
    """How long an answer is kept at most. A change of the tenant's documents makes it stale at once."""


class EmbeddingCache(Model):
    """Vectors of questions."""

    enabled: bool = True
    """Whether this cache is used."""
    ttl: Duration = Duration("720h")
    """How long a vector is kept at most."""


class Cache(Model):
    """Redis. At most one of managed and secretRef; neither means managed."""

    managed: ManagedCache | None = None
    """The operator runs one Redis pod."""
    secret_ref: NameRef | None = None
    """A Secret with the key url (redis:// or rediss://) of a Redis of one's own, and ca for a private authority."""
    exact: ExactCache = ExactCache()
    """Answers to literally the same question."""
    embedding: EmbeddingCache = EmbeddingCache()
    """Vectors of questions."""


class BuiltInEmbedder(StrEnum):
    """Sentence embedders that run on the CPU of the operator's own pods."""

    ALL_MINILM_L6_V2 = "all-MiniLM-L6-v2"


class BuiltInEmbedding(Model):
    """An embedder that needs no account and no network."""

    model: BuiltInEmbedder = BuiltInEmbedder.ALL_MINILM_L6_V2
    """Which built-in embedder."""


class Embedding(Model):
    """Turns text into vectors. At most one of builtIn and endpoint; neither means builtIn."""

    built_in: BuiltInEmbedding | None = None
    """An embedder that needs no account and no network."""
    endpoint: Endpoint | None = None
    """An OpenAI-compatible endpoint; needs model and dimensions."""
    model: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """The model's name at the endpoint, for instance text-embedding-3-small."""
    dimensions: Annotated[int, Field(ge=1, le=16000)] | None = None
    """Length of the vectors."""
    max_input_tokens: Annotated[int, Field(ge=32, le=32768)] | None = None
    """Tokens of text that the model takes at most, special tokens left out. Absent: 254 for the built-in embedder,
    8191 for OpenAI's models, 512 for a model that the operator doesn't know."""
    query_prefix: Annotated[str, Field(max_length=512)] = ""
    """Put before every question, for models trained so ("query: ")."""
    document_prefix: Annotated[str, Field(max_length=512)] = ""
    """Put before every chunk, for models trained so ("passage: "). Its tokens need room beside the chunk's."""
    batch_size: Annotated[int, Field(ge=1, le=2048)] = 64
    """Chunks in one call during ingestion."""
    max_concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    """Calls at the same time of one ingestion Job."""
    timeout: Duration = Duration("30s")
    """Longest wait for one call."""


class ChunkingStrategy(StrEnum):
    """How documents are cut into chunks."""

    RECURSIVE = "Recursive"


class Chunking(Model):
    """How documents are cut into chunks."""

    strategy: ChunkingStrategy = ChunkingStrategy.RECURSIVE
    """Recursive cuts at headings, then paragraphs, sentences, words."""
    size: Annotated[int, Field(ge=16, le=32768)] | None = None
    """Tokens in a chunk. Absent: 200 with the built-in embedder, else 400, or what the embedder
    takes if that is less."""
    overlap: Annotated[int, Field(ge=0, le=16384)] | None = None
    """Tokens that neighbouring chunks share. Absent: 15 % of size."""


class IndexType(StrEnum):
    """Kinds of vector index."""

    HNSW = "HNSW"
    FLAT = "Flat"


class Distance(StrEnum):
    """Measures of distance between vectors."""

    COSINE = "Cosine"


class Quantization(StrEnum):
    """How numbers of a vector are stored."""

    HALF_VEC = "HalfVec"
    NONE = "None"


class HNSW(Model):
    """Parameters of the HNSW graph (Malkov and Yashunin 2018; bounds are pgvector's)."""

    m: Annotated[int, Field(ge=2, le=100)] = 16
    """Neighbours of a node."""
    ef_construction: Annotated[int, Field(ge=4, le=1000)] | None = None
    """Candidates while building. Absent: 128, or twice m if that is more."""
    ef_search: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Candidates while searching. Absent: 100, or retrieval.candidates if that is more."""


class Index(Model):
    """The vector index of a revision."""

    type: IndexType = IndexType.HNSW
    """HNSW is approximate and fast; Flat compares with every chunk, for small tenants."""
    distance: Distance = Distance.COSINE
    """Measure of distance."""
    quantization: Quantization = Quantization.HALF_VEC
    """HalfVec stores 2 bytes a number and None 4. HNSW takes 4000 dimensions as HalfVec and 2000 as None."""
    hnsw: HNSW = HNSW()
    """Parameters of the HNSW graph; Flat has none."""


class RetrievalMode(StrEnum):
    """Which searches find passages."""

    VECTOR = "Vector"
    LEXICAL = "Lexical"
    HYBRID = "Hybrid"


class Fusion(Model):
    """Weights of reciprocal rank fusion (Cormack et al. 2009) in mode Hybrid."""

    vector_weight: Weight = Weight("1.0")
    """Weight of the vector search."""
    lexical_weight: Weight = Weight("1.0")
    """Weight of the lexical search (BM25)."""


class Retrieval(Model):
    """How passages for a question are found."""

    mode: RetrievalMode = RetrievalMode.HYBRID
    """Vector (meaning), Lexical (words, BM25) or Hybrid (both, fused)."""
    top_k: Annotated[int, Field(ge=1, le=50)] = 6
    """Passages that an answer is made from."""
    candidates: Annotated[int, Field(ge=1, le=200)] | None = None
    """Passages that each search brings before they are fused. Absent: 40, or topK if that is more."""
    min_score: Score = Score("0.25")
    """Passages of a lower cosine similarity do not count; none left means the noAnswer text."""
    fusion: Fusion = Fusion()
    """Weights of the two searches in mode Hybrid."""
    timeout: Duration = Duration("2s")
    """Longest time for retrieval."""


class BuiltInAnswerer(StrEnum):
    """Answerers that need no model."""

    EXTRACTIVE = "Extractive"


class BuiltInLLM(Model):
    """An answerer that needs no account and no network."""

    model: BuiltInAnswerer = BuiltInAnswerer.EXTRACTIVE
    """Extractive quotes the best passages."""


class ChatModel(Model):
    """A chat model at an OpenAI-compatible endpoint."""

    name: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Name within this pipeline; absent means the model's name."""
    model: Annotated[str, Field(min_length=1, max_length=128)]
    """The model's name at the endpoint, for instance gpt-4o-mini."""
    endpoint: Endpoint
    """Where the model answers."""


class LLM(Model):
    """Writes the answers. At most one of builtIn and models; neither means builtIn."""

    built_in: BuiltInLLM | None = None
    """An answerer that needs no account and no network."""
    models: Annotated[tuple[ChatModel, ...], Field(min_length=1, max_length=1)] | None = None
    """Chat models; this release takes one."""
    timeout: Duration = Duration("30s")
    """Longest time for an answer."""
    max_output_tokens: Annotated[int, Field(ge=1, le=32768)] = 800
    """Tokens of an answer at most."""
    temperature: Temperature = Temperature("0.1")
    """Sampling temperature; 0 is the most repeatable."""
    system_prompt: Annotated[str, Field(max_length=16384)] = ""
    """Instructions to the model; empty means the release's own, which ask for answers from the passages only."""
    no_answer: Annotated[str, Field(min_length=1, max_length=1024)] = "I don't know based on the available knowledge."
    """Said when no passage is relevant; no model is asked then."""


class Query(Model):
    """The query Deployment."""

    image: Annotated[str, Field(max_length=512)] = ""
    """Image of the query and ingestion pods; empty means the one that the operator was released with."""
    image_pull_secrets: Annotated[tuple[NameRef, ...], ListMap("name"), Field(max_length=16), unique_by("name")] = ()
    """Secrets for pulling the image, beside those that the chart names for every pod."""
    resources: Resources = Resources()
    """Compute resources of a query pod; what is absent here is filled in by the operator."""
    pod: WorkloadPod = WorkloadPod()
    """What query pods carry, and where they run."""


class IngestionSources(Model):
    """What tenants may point at."""

    allowed_hosts: Annotated[tuple[AllowedHost, ...], ListSet(), Field(max_length=100), unique] = ()
    """Hosts that http sources may read: docs.example.com, *.example.com, or with :port. With any entry no other host
    may be read; without, every public one. Private, link-local and cluster addresses need an entry of the full name."""
    ca_ref: AuthorityRef | None = None
    """Certificates that http sources' are checked against, beside the public authorities."""


class Ingestion(Model):
    """The tenants' ingestion Jobs."""

    schedule: CronSchedule = CronSchedule("*/15 * * * *")
    """When tenants without a schedule of their own are ingested. Steps from every minute (*/15) and single minutes
    are spread over the tenants, so that they don't start together."""
    time_zone: TimeZone = TimeZone("Etc/UTC")
    """Time zone of the schedules."""
    max_concurrent_jobs: Annotated[int, Field(ge=1, le=1000)] = 10
    """Ingestion Jobs of this pipeline at the same time."""
    max_file_size: Size = Size("50Mi")
    """Larger documents are not read, but counted as dead letters."""
    resources: Resources = Resources()
    """Compute resources of an ingestion pod; what is absent here is filled in by the operator."""
    pod: WorkloadPod = WorkloadPod()
    """What ingestion pods carry, and where they run."""
    active_deadline: Duration = Duration("6h")
    """A Job that runs longer is ended; the next one continues where it stood."""
    sources: IngestionSources = IngestionSources()
    """What tenants may point at."""


class RagPipelineSpec(Model):
    """What a RagPipeline should be."""

    paused: bool = False
    """Reconcile stops and serving goes on; deletion still proceeds."""
    runtime_version: RuntimeVersion = RuntimeVersion("")
    """Version of query and ingestion pods, for instance 0.1.0. Empty: they follow the operator's release, one pipeline
    after the other. A change takes effect at once."""
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN
    """Retain keeps the data when the pipeline is deleted; Delete removes a managed database with it."""
    database: Database
    """Postgres with pgvector."""
    cache: Cache = Cache()
    """Redis."""
    embedding: Embedding = Embedding()
    """Turns text into vectors."""
    chunking: Chunking = Chunking()
    """How documents are cut into chunks."""
    index: Index = Index()
    """The vector index."""
    retrieval: Retrieval = Retrieval()
    """How passages for a question are found."""
    llm: LLM = LLM()
    """Writes the answers."""
    query: Query = Query()
    """The query Deployment."""
    scaling: Scaling = Scaling()
    """Number of query pods."""
    ingestion: Ingestion = Ingestion()
    """The tenants' ingestion Jobs."""
    tenancy: Tenancy = Tenancy()
    """Where its tenants may live."""
    access: Access = Access()
    """Who may call the query service."""
    observability: Observability = Observability()
    """What of it is seen by monitoring."""


class RagPipeline(Model):
    """A shared RAG service: database, cache, models and query pods for many tenants."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: RagPipelineSpec
    status: RagPipelineStatus = RagPipelineStatus()
