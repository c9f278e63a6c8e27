"""The runtime configuration document: one versioned YAML/JSON file that configures `serve` or `ingest`.

The operator writes it to a ConfigMap named by content hash; a person writes it by hand for `--config FILE`. It holds no
secret value: credentials are files below a directory, API keys of endpoints are files too.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

CONTRACT_VERSION = 1
EVERYONE = "*"
"""The ACL entry that every caller carries; a document without an ACL gets just this one."""


class Document(BaseModel):
    """Base of all parts: frozen, closed, camelCase outside."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    def canonical(self) -> str:
        """The document as canonical JSON (sorted keys, camelCase, without nulls): what hashes are taken of."""
        return json.dumps(
            self.model_dump(mode="json", by_alias=True, exclude_none=True), sort_keys=True, separators=(",", ":")
        )

    def digest(self, length: int = 12) -> str:
        """Hex SHA-256 of `canonical`, cut to `length` characters."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:length]


def _absent(value: object) -> bool:
    return value is None


TrustFile = Annotated[PurePosixPath | None, Field(exclude_if=_absent)]
"""Written only where there is one: a runtime of the release before knows no such field."""


class Endpoint(Document):
    """An OpenAI-compatible endpoint; the key is read from its file per request, so a rotation needs no restart."""

    base_url: str
    api_key_file: PurePosixPath | None = None
    ca_file: TrustFile = None
    """PEM certificates that the server's is checked against, and no others; None: the public authorities."""


class EmbeddingProfile(Document):
    """Everything that decides what vector a text gets. Recorded whole in a revision; an index holds one."""

    endpoint: Endpoint | None = None
    """None: the built-in embedder."""
    model: str = "all-MiniLM-L6-v2"
    dimensions: Annotated[int, Field(ge=1, le=16000)] = 384
    max_input_tokens: int = 254
    query_prefix: str = ""
    document_prefix: str = ""

    @property
    def identity(self) -> str:
        """Hash of what shapes vectors, without the path of a credential: moving a Secret re-embeds nothing."""
        shape = [
            self.endpoint.base_url if self.endpoint else "builtIn",
            self.model,
            self.dimensions,
            self.query_prefix,
            self.document_prefix,
        ]
        return hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:16]


class EmbeddingCalls(Document):
    """How the embedder is called; none of it changes a vector."""

    batch_size: Annotated[int, Field(ge=1, le=2048)] = 64
    max_concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    timeout_seconds: float = 30.0


class Chunking(Document):
    """How documents become chunks; sizes in tokens of the embedder's tokenizer."""

    strategy: Literal["Recursive"] = "Recursive"
    size: Annotated[int, Field(ge=16)] = 200
    overlap: Annotated[int, Field(ge=0)] = 30


class IndexType(StrEnum):
    """Kinds of vector index."""

    HNSW = "HNSW"
    FLAT = "Flat"


class Quantization(StrEnum):
    """Storage of vectors: halfvec (2 bytes a dimension) or vector (4)."""

    HALFVEC = "HalfVec"
    NONE = "None"


class IndexShape(Document):
    """Everything that decides what an index holds: its hash names a revision. A differing hash means a new revision."""

    profile: EmbeddingProfile
    chunking: Chunking = Chunking()
    type: IndexType = IndexType.HNSW
    quantization: Quantization = Quantization.HALFVEC
    m: int = 16
    ef_construction: int = 128
    text_search: str = "english"
    """Postgres text search configuration of the lexical tables."""

    @property
    def spec_hash(self) -> str:
        """The hash a revision is found by. Where an endpoint's key lies does not count."""
        shape = self.model_dump(mode="json", exclude={"profile"}) | {"profile": self.profile.identity}
        return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]


class Database(Document):
    """Where Postgres is. Credentials are files in `credentials`: `host`, `port`, `dbname`, `sslmode` and per login
    `NAME.username`, `NAME.password` (ingest: NAME is `ingest`; serve: `query-00`, `query-01`, …)."""

    credentials: PurePosixPath = PurePosixPath("/etc/rag/database")
    schema_: Annotated[str, Field(alias="schema")]
    """The catalog schema of the pipeline in that database."""


class Cache(Document):
    """Redis and what is kept there. `url_file` holds a redis:// or rediss:// URL; None: no cache at all. A file `ca`
    beside it holds PEM certificates that the server's is checked against besides the public ones."""

    url_file: PurePosixPath | None = None
    exact_ttl_seconds: int | None = 14400
    """None: exact answers are not cached."""
    embedding_ttl_seconds: int | None = 2592000
    """None: question embeddings are not cached."""


class RetrievalMode(StrEnum):
    """Which of the two retrievers answer."""

    VECTOR = "Vector"
    LEXICAL = "Lexical"
    HYBRID = "Hybrid"


class Retrieval(Document):
    """How passages are found. `min_score` is a cosine similarity below which a passage is not relevant."""

    mode: RetrievalMode = RetrievalMode.HYBRID
    top_k: int = 6
    candidates: int = 40
    min_score: float = 0.25
    vector_weight: float = 1.0
    lexical_weight: float = 1.0
    ef_search: int = 100
    timeout_seconds: float = 2.0


class ChatModel(Document):
    """One answering model behind an OpenAI-compatible endpoint."""

    name: str
    model: str
    endpoint: Endpoint


class Answering(Document):
    """How an answer is made of passages; `model` None: the built-in extractive answerer quotes the best passages."""

    model: ChatModel | None = None
    timeout_seconds: float = 30.0
    max_output_tokens: int = 800
    temperature: float = 0.1
    system_prompt: str = "Answer from the given passages only. Cite them by number."
    no_answer: str = "I don't know based on the available knowledge."


class ServeConfig(Document):
    """Configuration of `rag-runtime serve`: one pipeline's query service."""

    contract_version: int = CONTRACT_VERSION
    kind: Literal["Serve"] = "Serve"
    pipeline: str
    """namespace/name, for logs and metrics."""
    database: Database
    cache: Cache = Cache()
    profiles: dict[str, EmbeddingProfile]
    """By `identity`: every profile that a live or retained revision uses."""
    embedding: EmbeddingCalls = EmbeddingCalls()
    retrieval: Retrieval = Retrieval()
    answering: Answering = Answering()


class DirectorySource(Document):
    """A mounted ConfigMap or volume: `root` is the mount, `path` stays below it."""

    kind: Literal["Directory"] = "Directory"
    root: PurePosixPath
    path: str = "/"


class HttpSource(Document):
    """Pages by URL, followed `depth` links deep within the hosts of `urls`."""

    kind: Literal["Http"] = "Http"
    urls: list[str]
    depth: int = 0
    allowed_hosts: list[str] = []
    """Hosts that may be reached although private, or, when not empty, the only public ones that may be."""
    ca_file: TrustFile = None
    """PEM certificates that servers' are checked against beside the public authorities."""


class SourceConfig(Document):
    """One named source of a tenant."""

    name: str
    source: Annotated[DirectorySource | HttpSource, Field(discriminator="kind")]
    include: list[str] = []
    exclude: list[str] = []
    metadata: dict[str, str] = {}
    acl: list[str] = [EVERYONE]


class IngestConfig(Document):
    """Configuration of `rag-runtime ingest`: one tenant's sync and index."""

    contract_version: int = CONTRACT_VERSION
    kind: Literal["Ingest"] = "Ingest"
    pipeline: str
    tenant: str
    """namespace/name, for logs and metrics."""
    tenant_id: str
    """The incarnation id in the catalog (uuid)."""
    database: Database
    tenant_schema: str
    sources: list[SourceConfig]
    shape: IndexShape
    profiles: dict[str, EmbeddingProfile] = {}
    """By `identity`: profiles of other live revisions, so that the serving one stays fresh while the next is built."""
    embedding: EmbeddingCalls = EmbeddingCalls()
    max_file_bytes: int = 50 * 1024 * 1024
    lease_seconds: int = 60


class UnknownContractError(ValueError):
    """The document states a version that this runtime does not know."""


def check_version(raw: dict[str, Any]) -> None:
    """Refuse a document of another contract version with the sentence that says what to do."""
    version = raw.get("contractVersion")
    if version != CONTRACT_VERSION:
        raise UnknownContractError(
            f"contractVersion: this runtime knows version {CONTRACT_VERSION}, the document says {version!r}; "
            "run the runtime image that belongs to the operator's release"
        )
