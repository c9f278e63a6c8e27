"""A tenant's deletion: answers stop at once, data is kept or erased by policy, and nothing hangs (DATA §7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from rag_operator.api import names
from rag_operator.api.common import DeletionPolicy
from rag_operator.api.conditions import Reason, merge
from rag_operator.api.names import FINALIZER
from rag_operator.api.tenant import RagTenantStatus
from rag_operator.decide import tenant as decide_tenant
from rag_operator.decide.authorship import last_change
from rag_operator.decide.checks import Check
from rag_operator.engine import announce
from rag_operator.engine.audit import Action, Entry
from rag_operator.engine.context import BACK_OFF, Binding, Context
from rag_operator.engine.emptying import erase_tenant
from rag_operator.engine.finalizer import drop_finalizer
from rag_operator.engine.queue import Key, pipeline_key
from rag_operator.kube.apply import delete_child
from rag_operator.kube.client import Api, Object
from rag_operator.kube.kinds import CRON_JOB, JOB, NAMESPACE, PIPELINE, SECRET, STATEFUL_SET, TENANT
from rag_operator.stores.erasure import deactivate, prove_erased, retain
from rag_operator.stores.errors import StoreProblem, StoreTrouble
from rag_operator.stores.tenants import TenantRow, read_tenant

PERIOD = 5.0
LAST_TRIES = 20.0
"""Seconds for a database whose credentials are left in this process only, or that is being deleted itself."""
TOLD = 1000
"""Of how many deleted tenants, the newest, it is known that all was told."""


async def terminating(context: Context, namespace: str) -> bool:
    """Whether the namespace is being deleted: then what we need may be gone already, and nothing may wait for it."""
    live = await context.api.get(NAMESPACE, None, namespace)
    return live is None or bool(live["metadata"].get("deletionTimestamp"))


async def stop_ingestion(api: Api, tenant: Object) -> bool:
    """Delete a tenant's CronJob and Jobs; True when none is left."""
    meta = tenant["metadata"]
    await delete_child(api, CRON_JOB, meta["namespace"], names.ingest(meta["name"]), meta["uid"])
    jobs = await api.list(JOB, meta["namespace"], f"{names.LABEL_TENANT}={meta['name']}")
    for job in jobs:
        if not job["metadata"].get("deletionTimestamp"):
            await api.delete(JOB, job, "Foreground")
    return not jobs


class TenantDeletion:
    """Closes a tenant's answers, then keeps or erases its data, then lets the resource go."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._told: deque[tuple[str, Action]] = deque(maxlen=TOLD)

    async def proceed(self, key: Key, live: Object) -> float | None:
        """One step; None when the finalizer is off."""
        if FINALIZER not in live["metadata"].get("finalizers", []):
            return None
        pipeline = pipeline_key(live)
        binding = self._context.reach(pipeline)
        if binding is None:
            return await self._without_database(live, pipeline, "the pipeline is not bound to its database")
        try:
            done = await self._close(key, live, binding)
        except (StoreProblem, StoreTrouble) as trouble:
            return await self._without_database(live, pipeline, str(trouble))
        self._context.leaving.pop(live["metadata"]["uid"], None)
        if not done:
            return PERIOD
        await drop_finalizer(self._context.api, TENANT, live)
        self._context.queue.add_after(pipeline, 1.0)
        return None

    async def _without_database(self, live: Object, pipeline: Key, why: str) -> float | None:
        lost = await self._lost(live["metadata"], pipeline)
        if lost is None:
            await self._say(live, f"answers can't be closed yet: {why}; it is tried again")
            if self._context.settings.watches(pipeline.namespace):
                self._context.queue.add_after(pipeline, PERIOD)
            return BACK_OFF
        message = f"released without touching the database, because {lost}: what it holds there stays"
        await self._tell(live, Action.DATA_LEFT, message, {})
        await drop_finalizer(self._context.api, TENANT, live)
        self._context.leaving.pop(live["metadata"]["uid"], None)
        return None

    async def _lost(self, meta: Object, pipeline: Key) -> str | None:
        """Why nothing will close these answers any more; None where something may."""
        watched = self._context.settings.watches(pipeline.namespace)
        home = await self._context.api.get(PIPELINE, pipeline.namespace, pipeline.name) if watched else None
        if watched and home is None:
            return f"RagPipeline {pipeline.name} is gone"
        undone = home is not None and await self._is_undone(home)
        if not undone and not await terminating(self._context, meta["namespace"]):
            return None
        why = "its pipeline and the managed database are" if undone else "its namespace is"
        cut_off = home is not None and not await self._has_credentials(home)
        if cut_off and self._context.reach(pipeline) is None:
            return f"{why} being deleted, and the database's Secret is gone"
        now = self._context.server_now()
        tried = (now - self._context.leaving.setdefault(meta["uid"], now)).total_seconds()
        if tried < (LAST_TRIES if cut_off or undone else self._context.settings.leave_grace_seconds):
            return None
        return f"{why} being deleted, and it was tried in vain for {tried:.0f} s"

    async def _is_undone(self, pipeline: Object) -> bool:
        """Whether a part of its managed database is gone that nothing makes anew, since it is being deleted itself: in
        the foreground the garbage collector takes children at once, whatever finalizers hold their owner."""
        meta = pipeline["metadata"]
        if not meta.get("deletionTimestamp") or "managed" not in pipeline["spec"].get("database", {}):
            return False
        name = names.postgres(meta["name"])
        parts = [await self._context.api.get(kind, meta["namespace"], name) for kind in (SECRET, STATEFUL_SET)]
        return None in parts

    async def _has_credentials(self, pipeline: Object) -> bool:
        meta, reference = pipeline["metadata"], pipeline["spec"].get("database", {}).get("secretRef")
        name = reference["name"] if reference else names.postgres(meta["name"])
        return await self._context.api.get(SECRET, meta["namespace"], name) is not None

    async def _close(self, key: Key, live: Object, binding: Binding) -> bool:
        """True when everything that must happen in the database has happened, and was told."""
        uid = live["metadata"]["uid"]
        async with self._context.transaction(binding) as tx:
            row = await read_tenant(tx, key.namespace, key.name)
            if row is not None and row.is_of(uid):
                await deactivate(tx, key.namespace, key.name, uid)
        if row is None:
            return await self._gone(live, binding)
        if not row.is_of(uid):
            return True
        part = {"catalog_id": str(binding.catalog.catalog), "db_schema": row.schema}
        if not await stop_ingestion(self._context.api, live):
            await self._say(live, "answers are closed; ingestion is being stopped", part)
            return False
        if await self._policy(live) is DeletionPolicy.RETAIN:
            async with self._context.transaction(binding) as tx:
                await retain(tx, key.namespace, key.name)
            message = f"answers are closed; schema {row.schema} is kept: deletionPolicy of pipeline or tenant is Retain"
            await self._tell(live, Action.DATA_RETAINED, message, {"incarnation": str(row.id)})
            return True
        if schema_in(live, binding) != row.schema:
            await self._say(live, "answers are closed; the data is being erased", part)
            return False
        return await self._erase(live, binding, row)

    async def _erase(self, live: Object, binding: Binding, row: TenantRow) -> bool:
        emptied = await erase_tenant(self._context, binding, row)
        message = f"schema {row.schema}, its roles and rows are gone; {emptied}"
        return await self._proven(live, binding, row.id.hex, message, {"incarnation": str(row.id)})

    async def _gone(self, live: Object, binding: Binding) -> bool:
        """Where the status says that there were data, whoever erased them may have ended before it was told."""
        schema = schema_in(live, binding)
        if not schema or (live["metadata"]["uid"], Action.DATA_ERASED) in self._told:
            return True
        message = (
            f"schema {schema}, its roles and rows are gone, since before this look, and may have been told of already; "
            "what was left of its keys in the cache expires by itself"
        )
        return await self._proven(live, binding, schema.rpartition("_")[2], message, {})

    async def _proven(
        self, live: Object, binding: Binding, digits: str, message: str, details: Mapping[str, str | int]
    ) -> bool:
        """Tell that an incarnation's data are gone, if they are; it is known by its first digits."""
        async with self._context.transaction(binding) as tx:
            left = await prove_erased(tx, digits)
        if left:
            await self._say(live, f"erasure is not complete: {left[0]} is still there")
            return False
        await self._tell(live, Action.DATA_ERASED, message, details)
        return True

    async def _policy(self, live: Object) -> DeletionPolicy:
        """The stricter of tenant and pipeline, as both stand now: data goes only where both say Delete."""
        home = pipeline_key(live)
        pipeline = await self._context.api.get(PIPELINE, home.namespace, home.name)
        said = {one["spec"].get("deletionPolicy") if one else None for one in (live, pipeline)}
        return DeletionPolicy.DELETE if said == {"Delete"} else DeletionPolicy.RETAIN

    async def _tell(self, live: Object, action: Action, message: str, details: Mapping[str, str | int]) -> None:
        """Once by this process: a step that is taken again, since the finalizer did not come off, is no other act."""
        told = (live["metadata"]["uid"], action)
        if told in self._told:
            return
        changed = last_change(live, ("spec", "deletionPolicy"))
        entry = Entry(action, message, "spec.deletionPolicy", changed, details)
        await announce.tell_audited(self._context, TENANT, live, entry)
        self._told.append(told)

    async def _say(self, live: Object, message: str, part: Mapping[str, str] | None = None) -> None:
        """`part`: of the database, in the status, so that it is known when its row is gone."""
        old = RagTenantStatus.model_validate(live.get("status", {}))
        facts = decide_tenant.TenantFacts(
            int(live["metadata"]["generation"]), deleting=Check(None, Reason.DELETING, message)
        )
        merged = merge(old.conditions, decide_tenant.conditions(facts)[:3], self._context.now())
        new = old.model_copy(update={"conditions": merged, **(part or {})})
        await announce.write(self._context, TENANT, live, new)


def schema_in(live: Object, binding: Binding) -> str:
    """The tenant's schema in this catalog, empty where its status, which users can't write, knows none."""
    status = live.get("status", {})
    return str(status.get("schema", "")) if status.get("catalogID") == str(binding.catalog.catalog) else ""
