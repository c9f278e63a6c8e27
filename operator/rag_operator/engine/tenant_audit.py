"""What the audit log says of bringing a tenant: data taken over, API key or login changed, revisions moved."""

from __future__ import annotations

from collections.abc import Mapping

from rag_operator.api import names
from rag_operator.build.ingest import API_KEY
from rag_operator.decide.authorship import last_change
from rag_operator.engine import announce, audit
from rag_operator.engine.audit import Action, Entry
from rag_operator.engine.context import Binding, Context
from rag_operator.kube.client import Object
from rag_operator.kube.kinds import PIPELINE, SECRET, TENANT
from rag_operator.stores.tenant_rows import DEACTIVATED
from rag_operator.stores.tenants import ANNOTATION_ADOPT, ANNOTATION_ERASE, TenantRow

SHAPES = (("spec", "embedding"), ("spec", "chunking"), ("spec", "index"))
"""What a pipeline's spec says about an index."""


async def laid(context: Context, live: Object, before: TenantRow | None, row: TenantRow) -> None:
    """After a tenant's row was brought to what is asked for: what changed for people who answer for the data."""
    if before is None:
        return
    if before.uid != row.uid:
        annotation = ANNOTATION_ADOPT if before.uid else ""
        changed = last_change(live, ("metadata", "annotations", annotation)) if annotation else None
        entry = Entry(
            Action.ADOPTED,
            f"data of an earlier tenant of this name was taken over: schema {row.schema}",
            f"metadata.annotations[{annotation}]" if annotation else "",
            changed,
            {"incarnation": str(row.id), "formerUid": before.uid},
        )
        await announce.tell_audited(context, TENANT, live, entry)
        return
    if before.state == DEACTIVATED:
        message = "answers are open again: the pipeline takes tenants of this namespace"
        entry = Entry(Action.REOPENED, message, details={"incarnation": str(row.id)})
        audit.record(context, TENANT, live, entry)
    if before.api_keys and before.api_keys != row.api_keys:
        await _key_rotated(context, live, row)
    if before.credential_version and before.credential_version != row.credential_version:
        secret = names.ingest_database_secret(row.name)
        entry = Entry(Action.LOGIN_ROTATED, f"the ingestion login's password was set to that of Secret {secret}")
        audit.record(context, TENANT, live, entry)


async def _key_rotated(context: Context, live: Object, row: TenantRow) -> None:
    secret, namespace = names.api_key_secret(row.name), live["metadata"]["namespace"]
    changed = await audit.changed_in(context, SECRET, namespace, secret, ("data", API_KEY))
    message = f"the API key is that of Secret {secret} now; the one before is refused"
    entry = Entry(Action.KEY_ROTATED, message, f"Secret {secret}", changed, {"keys": len(row.api_keys)})
    await announce.tell_audited(context, TENANT, live, entry)


async def promoted(context: Context, live: Object, binding: Binding, row: TenantRow, candidate: int) -> None:
    """The pointer moved from `row.active` to the candidate."""
    details: dict[str, str | int] = {"revision": candidate, "pipeline": binding.pipeline.metadata.name}
    if row.active is None:
        message = f"revision {candidate} answers now"
        entry = Entry(Action.PROMOTED, message, "spec", last_change(live, ("spec",)), details)
        return await announce.tell_audited(context, TENANT, live, entry)
    back = candidate < row.active
    meta = binding.pipeline.metadata
    changed = await audit.changed_in(context, PIPELINE, meta.namespace, meta.name, *SHAPES)
    entry = Entry(
        Action.ROLLED_BACK if back else Action.PROMOTED,
        f"revision {candidate} answers {'again' if back else 'now'} in place of {row.active}",
        f"RagPipeline {meta.name}: spec.embedding, spec.chunking, spec.index",
        changed,
        details | {"formerRevision": row.active},
    )
    return await announce.tell_audited(context, TENANT, live, entry)


def retired(context: Context, live: Object, revision: int) -> None:
    """A former revision's tables are gone."""
    entry = Entry(Action.RETIRED, f"revision {revision} was dropped", details={"revision": revision})
    audit.record(context, TENANT, live, entry)


async def erased_retained(
    context: Context, live: Object, schema: str, emptied: str, details: Mapping[str, str | int]
) -> None:
    """What an earlier tenant of the name left is gone, because an annotation named it. `emptied`: so is its cache."""
    changed = last_change(live, ("metadata", "annotations", ANNOTATION_ERASE))
    entry = Entry(
        Action.DATA_ERASED,
        f"data of an earlier tenant of this name is gone: schema {schema}, its roles and rows; {emptied}",
        f"metadata.annotations[{ANNOTATION_ERASE}]",
        changed,
        details,
    )
    await announce.tell_audited(context, TENANT, live, entry)
