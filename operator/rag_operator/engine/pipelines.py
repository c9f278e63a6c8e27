"""Reconciling one RagPipeline: observe, decide, act, status."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

from rag_operator.api import names, resolve
from rag_operator.api.conditions import Condition, ConditionType, Reason, is_true, merge, put
from rag_operator.api.errors import InvalidSpec
from rag_operator.api.names import FIELD_MANAGER_PIPELINE, FINALIZER
from rag_operator.api.parse import parse_pipeline
from rag_operator.api.pipeline import RagPipeline
from rag_operator.api.pipeline_status import RagPipelineStatus
from rag_operator.build import authorities, cache, config, network, query
from rag_operator.build.common import Release
from rag_operator.decide import pipeline as decide
from rag_operator.decide.authorship import last_change
from rag_operator.decide.checks import GOOD, Check
from rag_operator.decide.scaling import Plan
from rag_operator.engine import announce, audit, autoscaling, rollout, versions
from rag_operator.engine.accounts import bring_accounts
from rag_operator.engine.audit import Action, Entry
from rag_operator.engine.authorities import read_authorities
from rag_operator.engine.bind import Bound, bind, catalog_of, reach
from rag_operator.engine.context import BACK_OFF, Context
from rag_operator.engine.finalizer import add_finalizer
from rag_operator.engine.janitor import look_for_orphans
from rag_operator.engine.listening import Listeners
from rag_operator.engine.optional import bring_monitors
from rag_operator.engine.pace import Pace, Placed
from rag_operator.engine.pipeline_deletion import PipelineDeletion
from rag_operator.engine.pods import pods_trouble
from rag_operator.engine.profiles import profiles_of
from rag_operator.engine.proxies import missing_login
from rag_operator.engine.queue import Key, key_of
from rag_operator.engine.refusals import REFUSALS, refusal
from rag_operator.engine.resource import read_resource
from rag_operator.engine.secrets import Found, found, read_secret
from rag_operator.kube.apply import apply_child, delete_child, ensure_secret
from rag_operator.kube.client import Object
from rag_operator.kube.kinds import CONFIG_MAP, DEPLOYMENT, NETWORK_POLICY, PDB, PIPELINE, SERVICE, Kind
from rag_operator.stores.errors import StoreProblem, StoreTrouble
from rag_operator.stores.redis import ping, port_of
from rag_runtime.contract.config import EmbeddingProfile, ServeConfig

log = logging.getLogger(__name__)
ROLLING_PERIOD = 5.0
"""While new pods come beside those that serve: nothing tells why one doesn't start."""
READY_PERIOD = 60.0


@dataclass(frozen=True, slots=True)
class Cached:
    """The cache's Secret by name with its version, and its port; neither where the Secret is not there."""

    check: Check
    versions: dict[str, str]
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Models:
    """What endpoints need, the Secrets and certificates with their versions, or what is missing."""

    check: Check
    versions: dict[str, str]
    ca_versions: dict[str, str]


class PipelineReconciler:
    """Brings one pipeline's children and database to what its spec says."""

    def __init__(self, context: Context, listeners: Listeners) -> None:
        self._context = context
        self._listeners = listeners
        self._deletion = PipelineDeletion(context)
        self._pace = Pace(context)
        self._served: dict[Key, bool] = {}

    async def reconcile(self, key: Key) -> float | None:
        """One pass; returns seconds until the next look, None for no need."""
        live = await read_resource(self._context, key)
        if live is None or live["metadata"].get("deletionTimestamp"):
            return await self._leave(key, live)
        try:
            pipeline = parse_pipeline(live)
        except InvalidSpec as invalid:
            return await self._refuse(key, live, Check(False, Reason.INVALID_SPEC, str(invalid)))
        if unusable := self._pace.refusal(pipeline):
            return await self._refuse(key, live, unusable)
        if pipeline.spec.paused:
            await self._bind(key, pipeline)  # tenants may still be deleted, and that needs the database
            await self._pause(live)
            return READY_PERIOD
        if FINALIZER not in pipeline.metadata.finalizers:
            live = await add_finalizer(self._context, PIPELINE, live)
            pipeline = parse_pipeline(live)
        try:
            return await self._bring(key, live, pipeline)
        except REFUSALS as refused:
            facts = decide.PipelineFacts(_generation(live), spec=refusal(refused))
            await self._status(live, facts, {})
            return BACK_OFF

    async def _leave(self, key: Key, live: Object | None) -> float | None:
        again = await self._deletion.proceed(key, live) if live else None
        if live is None or again is None:
            self._listeners.stop(key)
            self._context.bindings.pop(key, None)
            self._context.reached.pop(key, None)
            self._context.orphans.forget(key)
        else:
            await self._keep_bound(key, live)
        self._wake_tenants(key)
        return again

    async def _keep_bound(self, key: Key, live: Object) -> None:
        """Tenants remain, and closing their answers needs the database: also after a restart, with nothing bound."""
        try:
            await self._bind(key, parse_pipeline(live))
        except InvalidSpec:
            await self._reach(key, live)

    async def _refuse(self, key: Key, live: Object, why: Check) -> float | None:
        """The spec can't be acted on, and what runs stays as it is."""
        paused = live["spec"].get("paused") is True
        await self._status(live, decide.PipelineFacts(_generation(live), spec=why, paused=paused), {})
        return await self._reach(key, live)

    async def _reach(self, key: Key, live: Object) -> float | None:
        """Tenants may be deleted whatever the spec says, and that needs the database."""
        reached = await reach(self._context, key, live)
        if reached:
            self._wake_tenants(key)
        return BACK_OFF if reached is False else None

    async def _bring(self, key: Key, live: Object, pipeline: RagPipeline) -> float | None:
        placed = await self._pace.place(live, pipeline)
        live, release = placed.live, placed.release(self._context.settings.release)
        bound = await self._bind(key, pipeline, release)
        cached = await self._cache(pipeline)
        models = await self._models(pipeline)
        facts = decide.PipelineFacts(
            _generation(live), database=bound.check, cache=cached.check, models=models.check, runtime=placed.check
        )
        profiles = await profiles_of(self._context.api, pipeline, bound.binding)
        await self._network(pipeline, bound, cached, profiles or ())
        catalog = bound.binding.catalog if bound.binding else catalog_of(pipeline)
        status: dict[str, Any] = {}
        if catalog is not None:
            await bring_accounts(self._context.api, pipeline)
            models = replace(models, versions=models.versions | cached.versions)
            chosen = await autoscaling.planned(self._context, pipeline)
            serve = None if profiles is None else config.serve_config(pipeline, catalog, profiles)
            deployment = await self._query(pipeline, serve, models, chosen, release)
            if deployment is not None:
                facts = replace(facts, query=await self._query_facts(pipeline, deployment, bound))
                facts = replace(facts, extras=await self._extras(pipeline, chosen))
                status = rollout.query_status(pipeline, deployment)
            status["catalogID"] = str(catalog.catalog)
            if bound.binding is not None and pipeline.status.catalog_id != status["catalogID"]:
                await self._catalog_taken(live, pipeline, status["catalogID"])
        placed = self._pace.judge(placed, self._conditions(pipeline.status, facts))
        new = await self._status(live, replace(facts, runtime=placed.check), status | placed.fields)
        if pipeline.status.runtime_move and placed.move is None:
            await self._pace.over()
        again = self._next_look(facts, new, placed)
        return again if bound.closing is None else min(again, bound.closing)

    def _next_look(self, facts: decide.PipelineFacts, new: RagPipelineStatus, placed: Placed) -> float:
        starting = decide.starting_period(new.conditions, self._context.now())
        if not is_true(new.conditions, ConditionType.READY):
            return BACK_OFF if decide.stopped(facts) else starting
        if decide.extras_move(facts):
            return starting
        if placed.left is not None:
            return min(READY_PERIOD, placed.left)
        return READY_PERIOD if facts.query is None or facts.query.complete else ROLLING_PERIOD

    async def _catalog_taken(self, live: Object, pipeline: RagPipeline, catalog: str) -> None:
        adopted = str(pipeline.spec.database.adopt) == catalog
        action = Action.CATALOG_ADOPTED if adopted else Action.CATALOG_MADE
        message = f"catalog {catalog} was {'taken over with its tenants' if adopted else 'made'}"
        changed = last_change(live, ("spec", "database"))
        entry = Entry(action, message, "spec.database", changed, {"catalog": catalog})
        if adopted:
            await announce.tell_audited(self._context, PIPELINE, live, entry)
        else:
            audit.record(self._context, PIPELINE, live, entry)

    async def _bind(self, key: Key, pipeline: RagPipeline, release: Release | None = None) -> Bound:
        bound = await bind(self._context, pipeline, release or self._context.settings.release)
        before = self._context.bindings.get(key)
        if bound.binding is None:
            if bound.check.blocked and before is not None:
                del self._context.bindings[key]
                if bound.check.reason is Reason.SECRET_NOT_FOUND:
                    self._context.reached[key] = before
                self._wake_tenants(key)
            return bound
        self._context.bindings[key] = bound.binding
        self._context.reached.pop(key, None)
        self._listeners.ensure(key, bound.binding)
        await look_for_orphans(self._context, key, bound.binding)
        same = before is not None and before.pipeline.metadata.generation == pipeline.metadata.generation
        if before is None or not same or before.release != bound.binding.release:
            self._wake_tenants(key)
        return bound

    def _tell_of_change(self, key: Key, old: RagPipelineStatus, generation: int) -> None:
        """Whom a spec takes in tenants read for themselves: they look once, also where it is bound to no database."""
        binding = self._context.bindings.get(key)
        woken = binding is not None and binding.pipeline.metadata.generation == generation
        if old.observed_generation != generation and not woken:
            self._wake_tenants(key)

    def _wake_tenants(self, key: Key) -> None:
        for tenant in self._context.registry.tenants_of(key):
            self._context.queue.add(tenant, routine=True)

    def _note_served(self, key: Key, served: bool) -> None:
        """Tenants are Ready while a pod serves: the first that comes and the last that goes concern all of them."""
        if self._served.get(key, served) != served:
            self._wake_tenants(key)
        self._served[key] = served

    async def _cache(self, pipeline: RagPipeline) -> Cached:
        api, meta = self._context.api, pipeline.metadata
        if resolve.managed_cache(pipeline.spec):
            manifest = cache.managed_redis_secret(pipeline, self._context.new_password())
            held = found(await ensure_secret(api, manifest))
            secret: Found | Check = held
            for child in cache.managed_redis(pipeline, self._context.settings.release, held.version):
                await apply_child(api, child, FIELD_MANAGER_PIPELINE)
        else:
            assert pipeline.spec.cache.secret_ref is not None
            name = pipeline.spec.cache.secret_ref.name
            secret = await read_secret(api, meta.namespace, name, "spec.cache.secretRef", ("url",))
            if isinstance(secret, Found):
                await self._drop_managed_cache(pipeline)
        if isinstance(secret, Check):
            return Cached(secret, {})
        check = await self._cache_check(pipeline, secret)
        return Cached(check, {secret.name: secret.version}, port_of(secret.data["url"].decode()))

    async def _drop_managed_cache(self, pipeline: RagPipeline) -> None:
        """One of the user's own took its place. Its Secret stays: pods of the former spec may still read it."""
        meta = pipeline.metadata
        for kind in (DEPLOYMENT, SERVICE):
            await delete_child(self._context.api, kind, meta.namespace, names.cache(meta.name), meta.uid)

    async def _cache_check(self, pipeline: RagPipeline, secret: Found) -> Check:
        name, namespace = names.cache(pipeline.metadata.name), pipeline.metadata.namespace
        if resolve.managed_cache(pipeline.spec):
            live = await self._context.api.get(DEPLOYMENT, namespace, name)
            if not live or not live.get("status", {}).get("readyReplicas"):
                if trouble := await self._pods_trouble(pipeline, names.COMPONENT_CACHE):
                    return Check(False, Reason.PODS_FAILING, trouble)
                return Check(None, Reason.STARTING, f"Deployment {name} has no ready pod")
        try:
            await ping(secret.data["url"].decode(), secret.name, secret.data.get("ca", b"").decode(errors="replace"))
        except (StoreProblem, StoreTrouble) as trouble:
            return Check(False, trouble.reason, str(trouble))
        return GOOD

    async def _network(
        self, pipeline: RagPipeline, bound: Bound, cached: Cached, profiles: tuple[EmbeddingProfile, ...]
    ) -> None:
        """The policies; those in force stay where a Secret that they depend on is away."""
        if bound.address is None or cached.port is None:
            return
        inputs = network.NetworkInputs(
            operator=self._context.settings.namespace,
            database_port=bound.address.port,
            cache_port=cached.port,
            endpoints=network.endpoints(pipeline.spec, profiles),
            proxy=self._context.settings.release.proxy,
        )
        for name, policy in network.network_policies(pipeline, inputs).items():
            await self._optional(pipeline, NETWORK_POLICY, name, policy)

    async def _models(self, pipeline: RagPipeline) -> Models:
        known: dict[str, str] = {}
        namespace, named = pipeline.metadata.namespace, authorities.of_all(pipeline.spec)
        trusted = await read_authorities(self._context.api, namespace, named)
        for reference in config.key_refs_of(pipeline.spec):
            secret = await read_secret(
                self._context.api, namespace, reference.name, "endpoint.secretRef", (reference.key,)
            )
            if isinstance(secret, Check):
                return Models(secret, known, trusted.versions)
            known[secret.name] = secret.version
        unproxied = await missing_login(self._context, namespace, network.endpoints(pipeline.spec, ()))
        return Models(unproxied or trusted.check, known, trusted.versions)

    async def _query(
        self, pipeline: RagPipeline, serve: ServeConfig | None, models: Models, chosen: Plan, release: Release
    ) -> Object | None:
        api, meta = self._context.api, pipeline.metadata
        live = await api.get(DEPLOYMENT, meta.namespace, names.query(meta.name))
        if serve is None:
            return live
        document = query.runtime_config_map(pipeline, serve)
        await apply_child(api, document, FIELD_MANAGER_PIPELINE)
        await apply_child(api, query.query_service(pipeline), FIELD_MANAGER_PIPELINE)
        await self._optional(pipeline, PDB, names.query(meta.name), query.query_pdb(pipeline))
        inputs = query.QueryInputs(
            config_map=document["metadata"]["name"],
            secret_versions=versions.secret_versions(pipeline, live, models.versions),
            replicas=await autoscaling.replicas_for(self._context, pipeline, chosen, live),
            key_refs=config.key_refs(serve),
            ca_refs=authorities.of_profiles(serve.profiles.values()),
            ca_versions=versions.ca_versions(pipeline, live, models.ca_versions),
        )
        deployment = await apply_child(api, query.query_deployment(pipeline, release, inputs), FIELD_MANAGER_PIPELINE)
        if rollout.rolled_out(deployment):
            await self._drop_old_configs(pipeline, document["metadata"]["name"])
        return deployment

    async def _extras(self, pipeline: RagPipeline, chosen: Plan) -> tuple[Check, ...]:
        scaled = await autoscaling.bring_autoscaler(self._context, pipeline, chosen)
        return scaled, await bring_monitors(self._context, pipeline)

    async def _optional(self, pipeline: RagPipeline, kind: Kind, name: str, manifest: Object | None) -> None:
        meta = pipeline.metadata
        if manifest is None:
            await delete_child(self._context.api, kind, meta.namespace, name, meta.uid)
        else:
            await apply_child(self._context.api, manifest, FIELD_MANAGER_PIPELINE)

    async def _drop_old_configs(self, pipeline: RagPipeline, current: str) -> None:
        meta = pipeline.metadata
        selector = ",".join(f"{k}={v}" for k, v in names.pipeline_selector(meta.name, names.COMPONENT_QUERY).items())
        for old in await self._context.api.list(CONFIG_MAP, meta.namespace, selector):
            if old["metadata"]["name"] != current:
                await self._context.api.delete(CONFIG_MAP, old)

    async def _query_facts(self, pipeline: RagPipeline, deployment: Object, bound: Bound) -> decide.QueryFacts:
        status = deployment.get("status", {})
        if bound.binding is not None:
            self._note_served(Key.of(pipeline), bound.live_leases > 0)
        facts = decide.QueryFacts(
            desired=int(deployment["spec"].get("replicas", 1)),
            ready=int(status.get("readyReplicas", 0)),
            updated=int(status.get("updatedReplicas", 0)),
            total=int(status.get("replicas", 0)),
            observed=status.get("observedGeneration", 0) >= deployment["metadata"]["generation"],
            live_leases=bound.live_leases if bound.binding else int(status.get("readyReplicas", 0)),
            trouble=rollout.refused_pods(deployment),
        )
        if facts.complete or facts.trouble:
            return facts
        trouble = await self._pods_trouble(pipeline, names.COMPONENT_QUERY)
        return replace(facts, trouble=trouble or rollout.overdue(deployment))

    async def _pods_trouble(self, pipeline: RagPipeline, component: str) -> str:
        labels = names.pipeline_selector(pipeline.metadata.name, component)
        return await pods_trouble(self._context, pipeline.metadata.namespace, labels)

    async def _pause(self, live: Object) -> None:
        old = RagPipelineStatus.model_validate(live.get("status", {}))
        paused = decide.conditions(decide.PipelineFacts(_generation(live), paused=True))[-1:]
        said = put(old.conditions, paused, self._context.now())
        await announce.write(self._context, PIPELINE, live, old.model_copy(update={"conditions": said}))

    def _conditions(self, old: RagPipelineStatus, facts: decide.PipelineFacts) -> tuple[Condition, ...]:
        return merge(old.conditions, decide.conditions(facts), self._context.now())

    async def _status(self, live: Object, facts: decide.PipelineFacts, more: dict[str, Any]) -> RagPipelineStatus:
        old = RagPipelineStatus.model_validate(live.get("status", {}))
        key = key_of(PIPELINE, live)
        self._tell_of_change(key, old, facts.generation)
        fields = old.to_dict() | more
        new = RagPipelineStatus.model_validate(fields).model_copy(
            update={
                "observed_generation": facts.generation,
                "conditions": self._conditions(old, facts),
                "tenants": self._context.registry.counts(key),
            }
        )
        await announce.write(self._context, PIPELINE, live, new)
        return new


def _generation(live: Object) -> int:
    return int(live["metadata"].get("generation", 0))
