"""`rag-operator orphans`: what catalogs hold that no RagTenant claims, and what is retained, a line each.

It goes beside a running operator and only reads: without the Lease, in read-only transactions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rag_operator.api import names
from rag_operator.api.errors import InvalidSpec
from rag_operator.api.parse import parse_pipeline
from rag_operator.api.pipeline import RagPipeline
from rag_operator.decide.checks import Check
from rag_operator.engine.bind import catalog_of
from rag_operator.engine.orphans import Orphans, orphans
from rag_operator.engine.places import Places
from rag_operator.engine.queue import Key, key_of, pipeline_key
from rag_operator.engine.secrets import read_secret
from rag_operator.engine.settings import Settings
from rag_operator.kube.client import Api, Object
from rag_operator.kube.kinds import PIPELINE, TENANT
from rag_operator.stores.address import parse_secret
from rag_operator.stores.database import Databases
from rag_operator.stores.errors import StoreProblem, StoreTrouble
from rag_operator.stores.holdings import read_holdings


async def list_orphans(api: Api, databases: Databases, settings: Settings, say: Callable[[str], None]) -> bool:
    """Say them all, words apart by tabs; False where a catalog or a namespace could not be looked at."""
    places = Places(api, settings)
    tenants = await places.list(TENANT)
    pipelines = await places.list(PIPELINE)
    for namespace, why in places.refused.items():
        say(f"{namespace}\tnot looked at\t{why}")
    whole = not places.refused
    for live in pipelines:
        about = f"{live['metadata']['namespace']}/{live['metadata']['name']}"
        try:
            found = await _found(api, databases, parse_pipeline(live), tenants)
        except (InvalidSpec, StoreProblem, StoreTrouble) as trouble:
            found, whole = Orphans(), False
            say(f"{about}\tnot looked at\t{trouble}")
        for line in _lines(found.outside(places.refused)):
            say(f"{about}\t{line}")
    return whole


async def _found(api: Api, databases: Databases, pipeline: RagPipeline, tenants: list[Object]) -> Orphans:
    meta, catalog, reference = pipeline.metadata, catalog_of(pipeline), pipeline.spec.database.secret_ref
    if catalog is None:
        return Orphans()
    name = reference.name if reference else names.postgres(meta.name)
    secret = await read_secret(api, meta.namespace, name, "spec.database")
    if isinstance(secret, Check):
        raise StoreProblem(secret.reason, secret.message)
    async with databases.reading(parse_secret(secret.data, secret.name, meta.namespace), catalog) as tx:
        held = await read_holdings(tx)
    ours = Key("pipeline", meta.namespace, meta.name)
    claimed = {key_of(TENANT, live) for live in tenants if pipeline_key(live) == ours}
    return orphans(held, claimed)


def _lines(found: Orphans) -> Iterator[str]:
    for what, tenants in (("orphan", found.tenants), ("retained", found.retained)):
        for tenant in tenants:
            yield f"{what}\ttenant\t{tenant.namespace}/{tenant.name}\t{tenant.id}\t{tenant.state}"
    for schema in found.schemas:
        yield f"orphan\tschema\t{schema}"
    for role in found.roles:
        yield f"orphan\trole\t{role}"
