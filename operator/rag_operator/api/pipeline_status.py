"""What the operator writes to a RagPipeline's status."""

from typing import Annotated

from pydantic import Field, computed_field

from rag_operator.api.common import StatusModel
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


class RagPipelineStatus(StatusModel):
    """What a RagPipeline is, as last observed."""

    observed_generation: int | None = None
    """Generation of the spec that this status tells about."""
    conditions: Conditions = ()
    """Ready sums up; the others tell why."""
    catalog_id: Annotated[str, Field(max_length=64)] | None = Field(default=None, alias="catalogID")
    """Id of this pipeline's catalog in its database."""
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
