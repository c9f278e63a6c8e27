"""Binding a pipeline to its database: address, preflight, catalog, leader epoch, the query pods' logins."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from rag_operator.api import names
from rag_operator.api.conditions import Reason
from rag_operator.api.errors import InvalidSpec
from rag_operator.api.names import FIELD_MANAGER_PIPELINE, FINALIZER
from rag_operator.api.parse import parse_to_close
from rag_operator.api.pipeline import RagPipeline
from rag_operator.build import common, config, postgres, query
from rag_operator.build.common import Release
from rag_operator.decide.checks import Check
from rag_operator.engine import audit
from rag_operator.engine.audit import Action, Entry
from rag_operator.engine.context import Binding, Context
from rag_operator.engine.pods import pods_trouble
from rag_operator.engine.queue import Key
from rag_operator.engine.secrets import Found, found, read_secret
from rag_operator.kube.apply import apply_child, ensure_secret, sync_secret
from rag_operator.kube.client import Object
from rag_operator.kube.kinds import PIPELINE, SECRET, STATEFUL_SET
from rag_operator.stores.address import DatabaseAddress, parse_secret
from rag_operator.stores.catalog import CatalogRequest, ensure_catalog
from rag_operator.stores.errors import StoreProblem, StoreTrouble, Superseded
from rag_operator.stores.leases import drop_stray, read_leases
from rag_operator.stores.migrate import migrate_catalog
from rag_operator.stores.preflight import preflight
from rag_operator.stores.profiles import declare_profile, serving_identities
from rag_operator.stores.query_logins import (
    Closing,
    close_former_logins,
    end_former_sessions,
    ensure_query_logins,
    name_of,
    read_turns,
)
from rag_runtime.contract.names import CatalogNames, query_credential

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bound:
    """What binding came to: the check to show, and the binding where there is one."""

    check: Check
    binding: Binding | None = None
    address: DatabaseAddress | None = None
    """Where the database is, also while it doesn't answer."""
    closing: float | None = None
    """Seconds until a former login of the query pods is to be closed."""
    live_leases: int = 0
    """Query pods that answer from this database."""


async def bind(context: Context, pipeline: RagPipeline, release: Release) -> Bound:
    """Bind, with the release as this pipeline runs it; a problem of the database is a value, the API server's not."""
    secret = await _secret(context, pipeline)
    if isinstance(secret, Check):
        return Bound(secret)
    address = None
    try:
        address = parse_secret(secret.data, secret.name, pipeline.metadata.namespace)
        waiting = await _managed_not_ready(context, pipeline)
        bound = Bound(waiting) if waiting else await _bind_at(context, pipeline, address, release)
    except Superseded:
        context.bindings.pop(Key.of(pipeline), None)
        raise
    except (StoreProblem, StoreTrouble) as error:
        bound = Bound(Check(False, error.reason, str(error)))
    return replace(bound, address=address)


async def reach(context: Context, key: Key, live: Object) -> bool | None:
    """Reach the catalog of a pipeline whose spec can't be acted on, so that its tenants may be deleted.

    No child is made. True when it was reached now, False when that is to be tried again, None where nothing is to do:
    without our finalizer it never had a catalog.
    """
    if context.reach(key) or FINALIZER not in live["metadata"].get("finalizers", []):
        return None
    try:
        pipeline = parse_to_close(live)
    except InvalidSpec:
        return None
    secret = await _secret(context, pipeline)
    if isinstance(secret, Check):
        return False
    try:
        address = parse_secret(secret.data, secret.name, key.namespace)
        context.reached[key] = await _reach(context, pipeline, address, context.settings.release)
    except (StoreProblem, StoreTrouble) as error:
        _log.warning("%s can't be reached to close its tenants: %s", key, error)
        return False
    return True


async def _secret(context: Context, pipeline: RagPipeline) -> Found | Check:
    meta = pipeline.metadata
    if pipeline.spec.database.secret_ref:
        name = pipeline.spec.database.secret_ref.name
        return await read_secret(context.api, meta.namespace, name, "spec.database.secretRef")
    if pipeline.spec.paused or meta.deletion_timestamp:
        return await read_secret(context.api, meta.namespace, names.postgres(meta.name), "spec.database.managed")
    manifest = postgres.managed_postgres_secret(pipeline, context.new_password())
    secret = found(await ensure_secret(context.api, manifest))
    for child in postgres.managed_postgres(pipeline, context.settings.release, secret.version):
        await apply_child(context.api, child, FIELD_MANAGER_PIPELINE)
    return secret


async def _managed_not_ready(context: Context, pipeline: RagPipeline) -> Check | None:
    if not pipeline.spec.database.managed:
        return None
    name = names.postgres(pipeline.metadata.name)
    live = await context.api.get(STATEFUL_SET, pipeline.metadata.namespace, name)
    if live and live.get("status", {}).get("readyReplicas", 0) >= 1:
        return None
    known = Key.of(pipeline) in context.bindings
    labels = names.pipeline_selector(pipeline.metadata.name, names.COMPONENT_POSTGRES)
    if trouble := await pods_trouble(context, pipeline.metadata.namespace, labels):
        return Check(False, Reason.PODS_FAILING, trouble)
    message = f"StatefulSet {name} has no ready pod"
    return Check(False, Reason.DATABASE_UNREACHABLE, message) if known else Check(None, Reason.STARTING, message)


async def _bind_at(context: Context, pipeline: RagPipeline, address: DatabaseAddress, release: Release) -> Bound:
    binding = await _reach(context, pipeline, address, release)
    closing = await _query_logins(context, binding)
    async with context.transaction(binding) as tx:
        declared = await declare_profile(tx, config.embedding_profile(pipeline.spec))
        serving = await serving_identities(tx)
        leases = await read_leases(tx)
        await drop_stray(tx, leases)
    bound = replace(binding, declared=declared, serving=serving)
    live = sum(lease.live for lease in leases)
    return Bound(Check(True, Reason.AS_EXPECTED, ""), bound, closing=closing.due, live_leases=live)


async def _reach(context: Context, pipeline: RagPipeline, address: DatabaseAddress, release: Release) -> Binding:
    before = context.bindings.get(Key.of(pipeline))
    if before is None or before.address != address:
        await preflight(context.databases, address)
    catalog = await ensure_catalog(context.databases, address, _request(context, pipeline))
    if before and before.address == address and before.catalog == catalog:
        epoch = before.epoch
    elif not context.api.may_write():
        raise Superseded(f"catalog {catalog.catalog} is not taken: the Lease has not been renewed in time")
    else:
        epoch = await context.databases.take_leadership(address, catalog)
        await _migrate(context, address, catalog, epoch)
    return Binding(pipeline, address, catalog, epoch, release)


async def _migrate(context: Context, address: DatabaseAddress, catalog: CatalogNames, epoch: int) -> None:
    """Once in a term, before any tenant of the catalog is looked at."""
    done = False
    while not done:
        async with context.databases.transaction(address, catalog, epoch) as tx:
            done = await migrate_catalog(tx)


def _request(context: Context, pipeline: RagPipeline) -> CatalogRequest:
    meta, known, adopt = pipeline.metadata, pipeline.status.catalog_id, str(pipeline.spec.database.adopt)
    return CatalogRequest(
        pipeline=f"{meta.namespace}/{meta.name}",
        pipeline_uid=meta.uid,
        expected=UUID(known) if known else None,
        adopt=UUID(adopt) if adopt else None,
        fresh=context.new_id(),
    )


async def _query_logins(context: Context, binding: Binding) -> Closing:
    """The logins of query pods: their Secret first, then the roles, so that no crash leaves a role without password.

    Where the Secret lacks a password, the other of the shard's two logins takes its turn, and what pods have goes on.
    """
    key = binding.key
    name = names.query_database_secret(key.name)
    live = await context.api.get(SECRET, key.namespace, name)
    before = found(live) if live else None
    shards = sorted({0, *context.shards.get(key, ()), *_shards_of(before.data if before else {})})
    logins = await _wanted_logins(context, binding, shards, before.data if before else {})
    manifest = query.query_database_secret(binding.pipeline, database_place(binding.address), logins)
    secret = found(await sync_secret(context.api, manifest, live))
    passwords = {shard: logins[query_credential(shard)][1] for shard in shards}
    alternates = {s for s in shards if logins[query_credential(s)][0] == binding.catalog.alternate_login(s)}
    async with context.transaction(binding) as tx:
        former = before.version if before else ""
        switched = await ensure_query_logins(tx, passwords, secret.version, former, alternates)
        closing = await close_former_logins(tx, context.settings.login_grace_seconds)
    if closing.closed:
        async with context.transaction(binding) as tx:
            await end_former_sessions(tx, closing)
        _log.info("former logins of query pods are closed", extra={"pipeline": str(key), "logins": closing.closed})
    if switched:
        roles = ", ".join(logins[query_credential(shard)][0] for shard in switched)
        grace = f"{context.settings.login_grace_seconds:.0f} s"
        message = f"Secret {name} has new passwords: query pods log in as {roles}; the former is closed after {grace}"
        about = {"metadata": binding.pipeline.metadata.model_dump(by_alias=True)}
        audit.record(context, PIPELINE, about, Entry(Action.LOGIN_ROTATED, message))
    return closing


async def _wanted_logins(
    context: Context, binding: Binding, shards: list[int], held: Mapping[str, bytes]
) -> dict[str, tuple[str, str]]:
    """Login and password of each shard, by the stem of their files: as the Secret holds them, or the other login."""
    wanted: dict[str, tuple[str, str]] = {}
    turns: dict[int, bool] | None = None
    for shard in shards:
        stem = query_credential(shard)
        login, password = (held.get(f"{stem}.{part}", b"").decode() for part in ("username", "password"))
        if not password or login not in {name_of(binding.catalog, shard, alternate) for alternate in (False, True)}:
            if turns is None:
                async with context.transaction(binding) as tx:
                    turns = await read_turns(tx)
            alternate = turns.get(shard, False) if password else not turns.get(shard, True)
            login = name_of(binding.catalog, shard, alternate)
        wanted[stem] = (login, password or context.new_password())
    return wanted


def _shards_of(data: Mapping[str, bytes]) -> set[int]:
    stems = (re.fullmatch(r"query-(\d+)\.username", key) for key in data)
    return {int(stem[1]) for stem in stems if stem}


def database_place(address: DatabaseAddress) -> common.DatabaseAddress:
    """The address without its login, as the pods' Secrets carry it."""
    return common.DatabaseAddress(address.host, address.port, address.dbname, address.sslmode, address.ca or None)


def catalog_of(pipeline: RagPipeline) -> CatalogNames | None:
    """The catalog that the status names, known also while the database is away."""
    return CatalogNames(UUID(pipeline.status.catalog_id)) if pipeline.status.catalog_id else None
