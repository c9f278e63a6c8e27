"""A tenant's status fields from what the catalog says of it."""

from __future__ import annotations

from typing import Any

from rag_operator.api import names
from rag_operator.api.common import NameRef
from rag_operator.api.formats import ObjectName
from rag_operator.api.tenant import (
    ActiveRevision,
    BuildingRevision,
    IndexStatus,
    LastIngestion,
    RagTenantStatus,
    RetainedRevision,
)
from rag_operator.engine.context import Binding
from rag_operator.stores.tenants import TenantRow


def failed_documents(row: TenantRow) -> int:
    """Documents that wait for a person."""
    return int(row.summary.get("deadLetters", 0))


def failed(row: TenantRow) -> bool:
    """Whether the run that ended last, the operator's or a scheduled one, says that it failed."""
    return (row.summary.get("lastIngestion") or {}).get("succeeded") is False


def trouble(row: TenantRow) -> str:
    """What the run that ended last has to say."""
    return str((row.summary.get("lastIngestion") or {}).get("message", ""))


def of_row(binding: Binding, row: TenantRow, retained: tuple[int, ...], handled: str | None) -> RagTenantStatus:
    """The status without conditions. Figures come from the runs' reports, so that reading them costs nothing."""
    ingestion = row.summary.get("lastIngestion")
    return RagTenantStatus(
        catalog_id=str(binding.catalog.catalog),
        db_schema=row.schema,
        api_key_secret_ref=NameRef(name=ObjectName(names.api_key_secret(row.name))),
        index=IndexStatus(
            active=_active(row),
            building=_building(row),
            retained=tuple(RetainedRevision(revision=number) for number in retained),
        ),
        last_ingestion=LastIngestion.model_validate(ingestion) if ingestion else None,
        dead_letters=failed_documents(row),
        last_handled_sync_request=handled,
    )


def _active(row: TenantRow) -> ActiveRevision | None:
    if row.active is None:
        return None
    facts: dict[str, Any] = next(
        (f for key in ("index", "active", "ready") if (f := row.summary.get(key)) and f.get("revision") == row.active),
        {},
    )
    shape = row.shape or {}
    return ActiveRevision(
        revision=row.active,
        embedding_model=str(shape.get("profile", {}).get("model", "")),
        documents=int(facts.get("documents", 0)),
        chunks=int(facts.get("chunks", 0)),
        size=human_size(int(facts.get("bytes", 0))),
        promoted_at=row.summary.get("promotedAt"),
    )


def _building(row: TenantRow) -> BuildingRevision | None:
    building = row.summary.get("building")
    return BuildingRevision.model_validate(building) if building else None


def human_size(size: int) -> str:
    """Bytes as people read them: 94Mi."""
    for unit in ("", "Ki", "Mi", "Gi"):
        if size < 1024:
            return f"{size}{unit}"
        size = round(size / 1024)
    return f"{size}Ti"
