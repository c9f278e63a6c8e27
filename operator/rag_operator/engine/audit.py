"""The audit log: who promoted, rolled back, adopted, rotated, kept or erased what, and when.

Lines go out after the change that they tell of: a crash in between loses a line or, where the step is done again,
repeats it; what became of a deleted tenant's data is always said. They carry names and numbers, never a secret value.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rag_operator.api.errors import PermanentError, TransientError
from rag_operator.decide.authorship import Change, Path, last_change
from rag_operator.engine.context import Context
from rag_operator.kube.client import Object
from rag_operator.kube.kinds import Kind

LOGGER = "rag_operator.audit"
log = logging.getLogger(LOGGER)


class Action(StrEnum):
    """What was done. A contract: log pipelines compare these; the Events have the same words."""

    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    RETIRED = "Retired"
    CATALOG_MADE = "CatalogMade"
    CATALOG_ADOPTED = "CatalogAdopted"
    ADOPTED = "Adopted"
    KEY_ROTATED = "KeyRotated"
    LOGIN_ROTATED = "LoginRotated"
    PAUSED = "Paused"
    RESUMED = "Resumed"
    CLOSED = "Closed"
    REOPENED = "Reopened"
    DATA_RETAINED = "DataRetained"
    DATA_ERASED = "DataErased"
    DATA_LEFT = "DataLeft"
    RELEASED = "Released"


@dataclass(frozen=True, slots=True)
class Entry:
    """One act. `part` is what a person changed to cause it, `changed` whose hand that was, where either is known."""

    action: Action
    message: str
    part: str = ""
    changed: Change | None = None
    details: Mapping[str, str | int] = field(default_factory=dict)


def record(context: Context, kind: Kind, about: Object, entry: Entry) -> None:
    """Write one line about a resource."""
    meta = about["metadata"]
    line: dict[str, object] = {
        "audit": True,
        "action": str(entry.action),
        "operator": context.settings.identity,
        "kind": kind.kind,
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta["uid"],
        "generation": int(meta.get("generation", 0)),
    }
    if entry.part:
        line["part"] = entry.part
    if entry.changed is not None:
        line |= {
            "changedBy": entry.changed.manager,
            "changedByOperation": entry.changed.operation,
            "changedAt": entry.changed.at,
        }
    # `name` is a record's own attribute: the formatter unfolds `fields`
    log.info(entry.message, extra={"fields": line | dict(entry.details)})


async def changed_in(context: Context, kind: Kind, namespace: str, name: str, *paths: Path) -> Change | None:
    """Whose hand changed a part of another object last; None also where that can't be read now."""
    with contextlib.suppress(TransientError, PermanentError):
        live = await context.api.get(kind, namespace, name)
        return last_change(live, *paths) if live else None
    return None
