"""What the operator writes to a RagPipeline's status."""

from typing import Annotated

from pydantic import Field, computed_field

from rag_operator.api.common import StatusModel, Time
from rag_operator.api.conditions import Conditions


class TenantCounts(StatusModel):
    """How many tenants are in which state."""

    total: int = 0
    """Tenants of this pipeline."""
    ready: int = 0
    """Tenants whose answers are served."""
    updating: int = 0
    """Tenants of which something is being built or rolled out."""
    failed: int = 0
    """Tenants that need a person."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def summary(self) -> str:
        """Ready tenants out of all, for `kubectl get`: 41/42."""
        return f"{self.ready}/{self.total}"


class RuntimeMove(StatusModel):
    """A move to the operator's release that is under way."""

    previous: Annotated[str, Field(max_length=128)] = ""
    """Version that the pods ran before."""
    started_at: Time = ""
    """When it began."""


class RagPipelineStatus(StatusModel):
    """What a RagPipeline is, as last observed."""

    observed_generation: int | None = None
    """Generation of the spec that this status tells about."""
    conditions: Conditions = ()
    """Ready sums up; the others tell why."""
    catalog_id: Annotated[str, Field(max_length=64)] | None = Field(default=None, alias="catalogID")
    """Id of this pipeline's catalog in its database."""
    runtime_version: Annotated[str, Field(max_length=128)] | None = None
    """Version of query and ingestion pods; absent where spec.query.image names an image of one's own."""
    runtime_image: Annotated[str, Field(max_length=1024)] | None = None
    """Image of query and ingestion pods."""
    runtime_move: RuntimeMove | None = None
    """While this pipeline moves to the operator's release; the other pipelines wait for its end."""
    endpoint: Annotated[str, Field(max_length=512)] | None = None
    """Address of the query Service within the cluster."""
    replicas: int | None = None
    """Query pods that exist."""
    ready_replicas: int | None = None
    """Query pods that serve."""
    selector: Annotated[str, Field(max_length=512)] | None = None
    """Label selector of the query pods, for the scale subresource."""
    tenants: TenantCounts | None = None
    """How many tenants are in which state."""
