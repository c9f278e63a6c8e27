"""Reconciling one RagTenant: observe, decide, act, status."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from uuid import UUID

from rag_operator.api import names
from rag_operator.api.conditions import ConditionStatus, ConditionType, Reason, find, is_true, merge
from rag_operator.api.errors import InvalidSpec
from rag_operator.api.names import FIELD_MANAGER_TENANT, FINALIZER
from rag_operator.api.parse import parse_pipeline, parse_tenant
from rag_operator.api.pipeline import RagPipeline
from rag_operator.api.tenant import RagTenant, RagTenantStatus
from rag_operator.build import authorities, config, ingest
from rag_operator.decide import tenant as decide
from rag_operator.decide.checks import Check
from rag_operator.engine import announce, tenant_audit, tenant_status
from rag_operator.engine.allowance import close, not_allowed
from rag_operator.engine.bind import database_place
from rag_operator.engine.closing import shut_unseen
from rag_operator.engine.context import BACK_OFF, Binding, Context
from rag_operator.engine.deletion import TenantDeletion
from rag_operator.engine.finalizer import add_finalizer
from rag_operator.engine.guests import bring_policy, missing_beside
from rag_operator.engine.proxies import called_by, missing_login
from rag_operator.engine.queue import Key, pipeline_key
from rag_operator.engine.refusals import REFUSALS, refusal
from rag_operator.engine.resource import read_resource
from rag_operator.engine.retained import NoteNeeded, RetainedErasure
from rag_operator.engine.revisions import Revisions
from rag_operator.engine.runs import Runs, finished
from rag_operator.engine.secrets import Found, found
from rag_operator.engine.settled import Seen, mark_of_child
from rag_operator.engine.sources import missing_source
from rag_operator.kube.apply import apply_child, ensure_secret, sync_secret
from rag_operator.kube.client import Object
from rag_operator.kube.errors import RefusedError
from rag_operator.kube.kinds import CONFIG_MAP, JOB, PIPELINE, SECRET, TENANT
from rag_operator.stores.errors import QueryLoginNeeded, StoreProblem, StoreTrouble, Superseded
from rag_operator.stores.profiles import recorded_shape
from rag_operator.stores.sight import Sight, look
from rag_operator.stores.tenants import (
    ANNOTATION_ADOPT,
    ANNOTATION_ERASE,
    TenantRequest,
    TenantRow,
    ensure_tenant,
    is_behind,
    read_tenant,
    stands,
)
from rag_runtime.contract.config import EmbeddingProfile
from rag_runtime.contract.names import TenantNames

RETIRING_PERIOD = 60.0
"""A revision that was replaced goes some minutes later."""
KEY_PREFIX = "rag_"


@dataclass(frozen=True, slots=True)
class Laid:
    """A tenant whose part of the database is there."""

    binding: Binding
    sight: Sight


class TenantReconciler:
    """Brings one tenant's schema, Secrets, CronJob and revisions to what its spec says."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._deletion = TenantDeletion(context)
        self._runs = Runs(context)
        self._revisions = Revisions(context)
        self._retained = RetainedErasure(context)

    async def reconcile(self, key: Key) -> float | None:
        """One pass; returns seconds until the next look, None for no need."""
        self._context.settled.drop(key)
        live = await self._look(key)
        if live is None:
            return None
        if live["metadata"].get("deletionTimestamp"):
            return await self._deletion.proceed(key, live)
        denied = await not_allowed(self._context, key, pipeline_key(live))
        if denied is not None:
            return await self._deny(key, live, denied)
        facts = decide.TenantFacts(int(live["metadata"]["generation"]))
        try:
            tenant = parse_tenant(live)
        except InvalidSpec as invalid:
            await self._write(live, replace(facts, spec=Check(False, Reason.INVALID_SPEC, str(invalid))), None)
            return None
        bound = await self._binding(tenant)
        if bound is None:
            return None  # a pipeline that is bound wakes its tenants
        if isinstance(bound, Binding) and bound.pipeline.spec.paused:
            return None
        if isinstance(bound, Check):
            await self._write(live, replace(facts, pipeline=bound), None)
            return None
        bare = FINALIZER not in tenant.metadata.finalizers
        new = bare and not tenant.status.conditions
        if bare:
            live = await add_finalizer(self._context, TENANT, live)
            tenant = parse_tenant(live)
        try:
            return await self._bring(key, live, tenant, bound, new=new)
        except REFUSALS as refused:
            await self._write(live, replace(facts, spec=refusal(refused)), None)
            return BACK_OFF

    async def _look(self, key: Key) -> Object | None:
        try:
            return await read_resource(self._context, key)
        except RefusedError:
            await shut_unseen(self._context, key)
            raise

    async def _deny(self, key: Key, live: Object, why: Check) -> float | None:
        """Nothing is made for it; what was made while its pipeline took it is closed, and the data stay."""
        closed = why.reason is not Reason.NOT_ALLOWED_BY_PIPELINE or await close(self._context, key, live)
        if not closed:
            why = replace(why, message=f"{why.message}; its answers are being closed")
        await self._write(live, decide.TenantFacts(int(live["metadata"]["generation"]), pipeline=why), None)
        return None if closed else BACK_OFF

    async def _binding(self, tenant: RagTenant) -> Binding | Check | None:
        """The pipeline's binding, or why there is none. None: this process has not looked yet, and nothing is amiss."""
        pipeline = Key("pipeline", tenant.pipeline_namespace, tenant.spec.pipeline_ref.name)
        binding = self._context.bindings.get(pipeline)
        if binding is not None:
            return binding
        live = await self._context.api.get(PIPELINE, pipeline.namespace, pipeline.name)
        if live is None:
            message = (
                f"spec.pipelineRef: RagPipeline {pipeline.namespace}/{pipeline.name} does not exist: create it; if "
                "it is in another namespace, make the tenant anew with spec.pipelineRef.namespace"
            )
            return Check(False, Reason.PIPELINE_NOT_FOUND, message)
        try:
            parsed = parse_pipeline(live)
        except InvalidSpec:
            message = f"RagPipeline {pipeline.name} is invalid: see its conditions"
            return Check(False, Reason.PIPELINE_NOT_READY, message)
        if tenant.status.conditions and is_true(parsed.status.conditions, ConditionType.DATABASE_READY):
            return None
        return Check(None, Reason.PIPELINE_NOT_READY, f"RagPipeline {pipeline.name} is not bound to its database yet")

    async def _bring(self, key: Key, live: Object, tenant: RagTenant, binding: Binding, *, new: bool) -> float | None:
        facts = decide.TenantFacts(tenant.metadata.generation, suspended=tenant.spec.suspend)
        try:
            laid = await self._lay(key, live, tenant, binding, new=new)
        except QueryLoginNeeded as needed:
            pipeline = pipeline_key(live)
            self._context.shards.setdefault(pipeline, set()).add(needed.shard)
            self._context.queue.add(pipeline)
            return BACK_OFF
        except Superseded:
            self._context.queue.add(pipeline_key(live))  # takes the catalog anew, if this process leads
            raise
        except NoteNeeded as needed:
            noted = {"catalog_id": str(binding.catalog.catalog), "db_schema": needed.schema}
            check = Check(None, needed.reason, str(needed))
            await self._write(live, replace(facts, database=check), tenant.status.model_copy(update=noted))
            return BACK_OFF
        except (StoreProblem, StoreTrouble) as trouble:
            check = Check(False, trouble.reason, str(trouble))
            await self._write(live, replace(facts, database=check), None)
            return BACK_OFF
        self._context.incarnations[laid.sight.row.id] = key
        return await self._ingest(key, live, tenant, laid, facts)

    async def _lay(self, key: Key, live: Object, tenant: RagTenant, binding: Binding, *, new: bool) -> Laid:
        """Secrets first, since their content is the truth; then schema, roles and hashes in the database.

        `new`: nothing was made for it yet, so that no Secret is looked for.
        """
        api, name = self._context.api, names.ingest_database_secret(key.name)
        fresh_key = KEY_PREFIX + self._context.new_password()
        api_key = found(await ensure_secret(api, ingest.api_key_secret(tenant, fresh_key), new=new))
        sight = await self._before(key, live, tenant, binding)
        before = sight.row if sight else None
        incarnation = before.id if before else self._context.new_id()
        login = TenantNames(binding.catalog, incarnation, key.name).ingestion
        login_secret = None if new else await api.get(SECRET, key.namespace, name)
        held = found(login_secret).data.get("ingest.password", b"").decode() if login_secret else ""
        password = held or self._context.new_password()
        place = database_place(binding.address)
        manifest = ingest.ingest_database_secret(tenant, place, login, password)
        secret = found(await sync_secret(api, manifest, login_secret))
        request = TenantRequest(
            namespace=key.namespace,
            name=key.name,
            uid=tenant.metadata.uid,
            incarnation=incarnation,
            password=password,
            credential_version=secret.version,
            api_key_hashes=_hashes(api_key),
            config={},
            adopt=_uuid(tenant.metadata.annotations.get(ANNOTATION_ADOPT, "")),
        )
        if sight is None or not stands(sight.row, sight.roles, binding.catalog.mark, request):
            sight = await self._ensured(binding, request)
        await tenant_audit.laid(self._context, live, before, sight.row)
        return Laid(binding, sight)

    async def _ensured(self, binding: Binding, request: TenantRequest) -> Sight:
        """Of the tenant as the request wants it, taken on by as many transactions as its schema needs."""
        while True:
            async with self._context.transaction(binding) as tx:
                row = await ensure_tenant(tx, request)
                sight = await look(tx, row)
            if not is_behind(row):
                return sight

    async def _before(self, key: Key, live: Object, tenant: RagTenant, binding: Binding) -> Sight | None:
        """What the catalog has under this name; retained data is erased first where an annotation names it."""
        async with self._context.transaction(binding) as tx:
            before = await read_tenant(tx, key.namespace, key.name)
            sight = await look(tx, before) if before else None
        asked = _uuid(tenant.metadata.annotations.get(ANNOTATION_ERASE, ""))
        gone = asked is not None and await self._retained.proceed(live, binding, before, asked)
        return None if gone else sight

    async def _ingest(
        self, key: Key, live: Object, tenant: RagTenant, laid: Laid, facts: decide.TenantFacts
    ) -> float | None:
        pipeline = laid.binding.pipeline
        tenant_names = TenantNames(laid.binding.catalog, laid.sight.row.id, tenant.metadata.name)
        document = config.ingest_config(pipeline, tenant, tenant_names, _live_profiles(laid.binding, laid.sight.row))
        manifest = ingest.ingest_config_map(tenant, document)
        inputs = ingest.IngestInputs(
            manifest["metadata"]["name"],
            config.key_refs(document),
            authorities.of_profiles(document.profiles.values()),
        )
        policy = await bring_policy(self._context, tenant, laid.binding)
        configuration = await apply_child(self._context.api, manifest, FIELD_MANAGER_TENANT)
        job = ingest.ingest_cron_job(pipeline, tenant, laid.binding.release, inputs)
        cron_job = await apply_child(self._context.api, job, FIELD_MANAGER_TENANT)
        unsure = await self._runs.free(cron_job, job)
        missing = await self._missing(pipeline, tenant)
        brought = await self._revisions.bring(live, laid.binding, laid.sight, document.shape)
        row = brought.row
        run = await self._runs.bring(tenant, laid.binding, inputs, row, document.digest(), blocked=missing is not None)
        await self._drop_old_configs(tenant, manifest["metadata"]["name"], run.state)
        facts = replace(
            facts,
            database=Check(True, Reason.AS_EXPECTED, ""),
            sources=missing or Check(True, Reason.AS_EXPECTED, ""),
            index=brought.facts,
            run=run.state,
            run_message=run.message or row.summary.ended().message,
            last_run_failed=not row.summary.ended().succeeded,
            failed_documents=row.summary.dead_letters,
        )
        status = tenant_status.of_row(laid.binding, row, brought.retained, run.handled)
        written = await self._write(live, facts, status)
        soon = decide.next_look(facts) or (decide.MENDING_PERIOD if unsure else None)
        if soon is not None:
            return soon
        children = frozenset(mark_of_child(child) for child in (configuration, cron_job, policy) if child)
        self._context.settled.note(key, Seen(written["metadata"]["resourceVersion"], brought.mark, children))
        return RETIRING_PERIOD if brought.retiring else None

    async def _missing(self, pipeline: RagPipeline, tenant: RagTenant) -> Check | None:
        """What the tenant's ingestion pods would look for in vain."""
        api = self._context.api
        missing = await missing_source(api, tenant) or await missing_beside(api, pipeline, tenant)
        return missing or await missing_login(self._context, tenant.metadata.namespace, called_by(pipeline, tenant))

    async def _drop_old_configs(self, tenant: RagTenant, current: str, state: decide.RunState) -> None:
        """Configurations that no Job needs any more; looked for once, when the run of the present one has ended."""
        before = find(tenant.status.conditions, ConditionType.INGEST_SUCCEEDED)
        if state is not decide.RunState.DONE or before is None or before.status is ConditionStatus.TRUE:
            return
        api, namespace = self._context.api, tenant.metadata.namespace
        selector = f"{names.LABEL_TENANT}={tenant.metadata.name}"
        jobs = [job for job in await api.list(JOB, namespace, selector) if finished(job) is None]
        kept = {current, *(job["metadata"].get("annotations", {}).get(names.ANNOTATION_CONFIG, "") for job in jobs)}
        for old in await api.list(CONFIG_MAP, namespace, selector):
            if old["metadata"]["name"] not in kept:
                await api.delete(CONFIG_MAP, old)

    async def _write(self, live: Object, facts: decide.TenantFacts, more: RagTenantStatus | None) -> Object:
        old = RagTenantStatus.model_validate(live.get("status", {}))
        new = (more or old).model_copy(
            update={
                "observed_generation": facts.generation,
                "conditions": merge(old.conditions, decide.conditions(facts), self._context.now()),
                "last_handled_sync_request": (more and more.last_handled_sync_request) or old.last_handled_sync_request,
                "api_key_secret_ref": (more or old).api_key_secret_ref,
            }
        )
        return await announce.write(self._context, TENANT, live, new)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _hashes(api_key: Found) -> tuple[str, ...]:
    """Hashes of the keys that are accepted; a key of 256 random bits needs no slow hash."""
    value = api_key.data.get(ingest.API_KEY, b"").strip()
    return (hashlib.sha256(value).hexdigest(),) if value else ()


def _live_profiles(binding: Binding, row: TenantRow) -> tuple[EmbeddingProfile, ...]:
    """The profile of the revision that answers, so that ingestion keeps it fresh while another is built."""
    shape = recorded_shape(row.shape)
    declared = binding.declared.get(shape.profile.identity) if shape else None
    return (declared,) if declared else ()
