"""RagTenant as a user writes it: one tenant of a pipeline with the sources of its documents."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from rag_operator.api.common import (
    DeletionPolicy,
    ListMap,
    ListSet,
    Metadata,
    Model,
    NameRef,
    StatusModel,
    Time,
    unique,
    unique_by,
)
from rag_operator.api.conditions import Conditions
from rag_operator.api.formats import CronSchedule, Label, MetadataKey, ObjectName, PageAddress

Glob = Annotated[str, Field(min_length=1, max_length=256)]
Globs = Annotated[tuple[Glob, ...], ListSet(), Field(max_length=64), unique]


class VolumeSource(Model):
    """Files of a PersistentVolumeClaim."""

    claim_ref: NameRef
    """The claim, in the tenant's namespace; mounted read-only."""
    path: Annotated[str, Field(max_length=1024)] = "/"
    """Folder within the volume. Links that lead out of it are not followed."""


class HttpSource(Model):
    """Web pages."""

    urls: Annotated[tuple[PageAddress, ...], ListSet(), Field(min_length=1, max_length=100), unique]
    """Pages to read, 1 to 100."""
    depth: Annotated[int, Field(ge=0, le=5)] = 0
    """How many links to follow from each page, within the same host and folder."""


class Source(Model):
    """A place that documents come from. Exactly one of configMapRef, volume and http."""

    name: Label
    """Name within the tenant."""
    config_map_ref: NameRef | None = None
    """A ConfigMap of the tenant's namespace; every key is a document."""
    volume: VolumeSource | None = None
    """Files of a PersistentVolumeClaim."""
    http: HttpSource | None = None
    """Web pages."""
    include: Globs = ()
    """Only documents that match one of these globs, such as **/*.md; empty means all."""
    exclude: Globs = ()
    """Documents that match one of these globs are left out."""
    metadata: Annotated[Mapping[MetadataKey, Annotated[str, Field(max_length=256)]], Field(max_length=32)] = Field(
        default_factory=dict
    )
    """Put on every document of this source, for filters."""


class PipelineRef(Model):
    """Names a RagPipeline."""

    name: ObjectName
    """Name of the pipeline."""
    namespace: ObjectName | None = None
    """Namespace of the pipeline; absent means the tenant's own. One of another namespace must allow the tenant's by its
    spec.tenancy.namespaces, and what it names for ingestion pods (keys of models, certificates, pull Secrets, the
    ServiceAccount) must be in the tenant's namespace too."""


class RagTenantSpec(Model):
    """What a RagTenant should be."""

    pipeline_ref: PipelineRef
    """The pipeline; can't be changed."""
    display_name: Annotated[str, Field(max_length=128)] = ""
    """Name for people."""
    suspend: bool = False
    """No scheduled ingestion; answers go on."""
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN
    """Retain keeps documents and index in the database when the tenant is deleted; Delete erases them. Answers stop at
    once either way, and the stricter of tenant and pipeline wins."""
    sources: Annotated[tuple[Source, ...], ListMap("name"), Field(max_length=50), unique_by("name")] = ()
    """Places that documents come from, 1 to 50."""
    schedule: CronSchedule | None = None
    """When to ingest; absent means the pipeline's schedule."""


class ActiveRevision(StatusModel):
    """The revision that answers come from."""

    revision: int
    """Its number."""
    embedding_model: Annotated[str, Field(max_length=128)] = ""
    """The model of its vectors."""
    documents: int = 0
    """Documents in it."""
    chunks: int = 0
    """Chunks in it."""
    size: Annotated[str, Field(max_length=32)] = ""
    """Size of its tables and indexes."""
    promoted_at: Time | None = None
    """When answers began to come from it."""


class BuildingRevision(StatusModel):
    """The revision that is being built."""

    revision: int
    """Its number."""
    percent: int = 0
    """How much of it is there."""
    documents: int = 0
    """Documents in it."""
    total_documents: int = 0
    """Documents that it will have."""


class RetainedRevision(StatusModel):
    """A former revision that is kept."""

    revision: int
    """Its number."""


class IndexStatus(StatusModel):
    """Revisions of the tenant's index."""

    active: ActiveRevision | None = None
    """The revision that answers come from."""
    building: BuildingRevision | None = None
    """The revision that is being built."""
    retained: Annotated[tuple[RetainedRevision, ...], ListMap("revision"), Field(max_length=16)] = ()
    """Former revisions that are kept."""


class LastIngestion(StatusModel):
    """The ingestion that ended last."""

    started_at: Time | None = None
    """When it began."""
    finished_at: Time | None = None
    """When it ended."""
    added: int = 0
    """New documents."""
    updated: int = 0
    """Changed documents."""
    deleted: int = 0
    """Documents that are gone."""
    unchanged: int = 0
    """Documents that stayed as they were."""
    failed: int = 0
    """Documents that could not be read."""


class RagTenantStatus(StatusModel):
    """What a RagTenant is, as last observed."""

    observed_generation: int | None = None
    """Generation of the spec that this status tells about."""
    conditions: Conditions = ()
    """Ready sums up; the others tell why."""
    catalog_id: Annotated[str, Field(max_length=64)] | None = Field(default=None, alias="catalogID")
    """Id of the catalog that this tenant is bound to."""
    db_schema: Annotated[str, Field(max_length=63)] | None = Field(default=None, alias="schema")
    """The tenant's schema in the database."""
    api_key_secret_ref: NameRef | None = None
    """Secret with the tenant's API key."""
    index: IndexStatus | None = None
    """Revisions of the tenant's index."""
    last_ingestion: LastIngestion | None = None
    """The ingestion that ended last."""
    dead_letters: int | None = None
    """Documents that wait for a person, because they could not be read."""
    last_handled_sync_request: Annotated[str, Field(max_length=256)] | None = None
    """Value of the annotation rag-operator.dev/sync-requested that was answered last."""


class RagTenant(Model):
    """A tenant of a pipeline: its sources, its part of the database, its API key."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: RagTenantSpec
    status: RagTenantStatus = RagTenantStatus()

    @property
    def pipeline_namespace(self) -> str:
        """Namespace of its pipeline."""
        return str(self.spec.pipeline_ref.namespace or self.metadata.namespace)

    @property
    def is_guest(self) -> bool:
        """Whether its pipeline lives in another namespace."""
        return self.pipeline_namespace != self.metadata.namespace
