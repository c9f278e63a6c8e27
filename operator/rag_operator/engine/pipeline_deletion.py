"""A pipeline's deletion: it goes when no tenant needs it any more, and never takes tenants' data along (DATA §7)."""

from __future__ import annotations

from collections.abc import Collection

from rag_operator.api.conditions import Reason, put
from rag_operator.api.names import FINALIZER
from rag_operator.api.pipeline_status import RagPipelineStatus
from rag_operator.decide import pipeline as decide_pipeline
from rag_operator.decide.authorship import last_change
from rag_operator.decide.checks import Check
from rag_operator.engine import announce, audit
from rag_operator.engine.allowance import not_allowed
from rag_operator.engine.audit import Action, Entry
from rag_operator.engine.context import Binding, Context
from rag_operator.engine.deletion import PERIOD, terminating
from rag_operator.engine.finalizer import drop_finalizer
from rag_operator.engine.places import Places
from rag_operator.engine.queue import Key, pipeline_key
from rag_operator.engine.volume import settle_volume
from rag_operator.kube.client import Object
from rag_operator.kube.kinds import PIPELINE, TENANT
from rag_operator.stores.errors import StoreProblem, StoreTrouble
from rag_operator.stores.holdings import Holdings, read_holdings
from rag_operator.stores.tenant_rows import RETAINED

UNLISTED = (
    "which can't be listed: give the operator its rights there again, or take the namespace out of watchNamespaces"
)


class PipelineDeletion:
    """Lets a pipeline go when no tenant needs it any more; its deletion never cascades to tenants' data."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def proceed(self, key: Key, live: Object) -> float | None:
        """One step; None when the finalizer is off."""
        if FINALIZER not in live["metadata"].get("finalizers", []):
            return None
        remaining = await self._remaining(key, live)
        if remaining:
            shown = ", ".join(remaining[:3]) + (f" and {len(remaining) - 3} more" if len(remaining) > 3 else "")
            await self._say(live, f"{len(remaining)} tenants still use this pipeline ({shown}): delete them first")
            return PERIOD
        goes = await settle_volume(self._context.api, live)
        message = "the managed database's volume goes with the pipeline" if goes else "the catalog stays where it is"
        changed = last_change(live, ("spec", "deletionPolicy"))
        audit.record(self._context, PIPELINE, live, Entry(Action.RELEASED, message, "spec.deletionPolicy", changed))
        await drop_finalizer(self._context.api, PIPELINE, live)
        return None

    async def _remaining(self, key: Key, live: Object) -> list[str]:
        """Tenants beside the pipeline, and guests for whom something was made; the latter don't hold a namespace that
        is being deleted, with which the pods go that answer them."""
        own: list[str] = []
        guests: list[str] = []
        catalog = self._catalog(key, live)
        places = Places(self._context.api, self._context.settings)
        async for page in places.pages(TENANT):
            for tenant in page.items():
                meta = tenant["metadata"]
                if pipeline_key(tenant) != key:
                    continue
                if meta["namespace"] == key.namespace:
                    own.append(meta["name"])
                elif await self._holds(tenant, key, catalog):
                    guests.append(f"{meta['namespace']}/{meta['name']}")
        if places.refused and catalog:
            guests += await self._unlisted(key, places.refused)
        if guests and await terminating(self._context, key.namespace):
            return own
        return own + guests

    async def _unlisted(self, key: Key, namespaces: Collection[str]) -> list[str]:
        """Guests where RagTenants can't be listed: those that the catalog has there, or anybody, if it can't tell."""
        binding = self._context.reach(key)
        try:
            held = await self._held(binding) if binding else None
        except (StoreProblem, StoreTrouble):
            held = None
        if held is None:
            return [f"any of namespace {namespace}, {UNLISTED}" for namespace in namespaces]
        there = (one for one in held.tenants if one.namespace in namespaces and one.state != RETAINED)
        return [f"{one.namespace}/{one.name}, {UNLISTED}" for one in there]

    async def _held(self, binding: Binding) -> Holdings:
        async with self._context.transaction(binding) as tx:
            return await read_holdings(tx)

    def _catalog(self, key: Key, live: Object) -> str | None:
        """Known from the binding where the pipeline is deleted before its first status was written."""
        known = live.get("status", {}).get("catalogID")
        binding = self._context.reach(key)
        return known or (str(binding.catalog.catalog) if binding else None)

    async def _holds(self, guest: Object, key: Key, catalog: str | None) -> bool:
        """Whether the guest has a part of the catalog, or is being given one: anybody may name a pipeline, and put our
        finalizer on, but users write no status, and one that is not allowed is given nothing."""
        meta = guest["metadata"]
        if FINALIZER not in meta.get("finalizers", []):
            return False
        held = guest.get("status", {}).get("catalogID")
        if held is None:
            return await not_allowed(self._context, Key("tenant", meta["namespace"], meta["name"]), key) is None
        return catalog in (None, held)

    async def _say(self, live: Object, message: str) -> None:
        old = RagPipelineStatus.model_validate(live.get("status", {}))
        check = Check(False, Reason.TENANTS_REMAIN, message)
        facts = decide_pipeline.PipelineFacts(int(live["metadata"]["generation"]), deleting=check)
        said = put(old.conditions, decide_pipeline.conditions(facts)[:1], self._context.now())
        await announce.write(self._context, PIPELINE, live, old.model_copy(update={"conditions": said}))
