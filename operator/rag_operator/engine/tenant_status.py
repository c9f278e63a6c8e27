"""A tenant's status fields from what the catalog says of it."""

from __future__ import annotations

from rag_operator.api import names
from rag_operator.api.common import NameRef
from rag_operator.api.formats import ObjectName
from rag_operator.api.tenant import (
    ActiveRevision,
    IndexStatus,
    RagTenantStatus,
    RetainedRevision,
)
from rag_operator.engine.context import Binding
from rag_operator.stores.profiles import recorded_shape
from rag_operator.stores.tenants import TenantRow

LONGEST_MODEL = 128
"""Characters of a model's name; a tenant's ingestion may record any."""


def of_row(binding: Binding, row: TenantRow, retained: tuple[int, ...], handled: str | None) -> RagTenantStatus:
    """The status without conditions. Figures come from the runs' reports, so that reading them costs nothing."""
    return RagTenantStatus(
        catalog_id=str(binding.catalog.catalog),
        db_schema=row.schema,
        api_key_secret_ref=NameRef(name=ObjectName(names.api_key_secret(row.name))),
        index=IndexStatus(
            active=_active(row),
            building=row.summary.building,
            retained=tuple(RetainedRevision(revision=number) for number in retained),
        ),
        last_ingestion=row.summary.last_ingestion,
        dead_letters=row.summary.dead_letters,
        last_handled_sync_request=handled,
    )


def _active(row: TenantRow) -> ActiveRevision | None:
    if row.active is None:
        return None
    figures = row.summary.figures(row.active)
    shape = recorded_shape(row.shape)
    return ActiveRevision(
        revision=row.active,
        embedding_model=shape.profile.model[:LONGEST_MODEL] if shape else "",
        documents=figures.documents,
        chunks=figures.chunks,
        size=human_size(figures.bytes),
        promoted_at=row.summary.promoted_at,
    )


def human_size(size: int) -> str:
    """Bytes as people read them: 94Mi."""
    for unit in ("", "Ki", "Mi", "Gi"):
        if size < 1024:
            return f"{size}{unit}"
        size = round(size / 1024)
    return f"{size}Ti"
