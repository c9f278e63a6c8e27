"""A tenant that is erased leaves the pipeline's Redis too, as far as that can be asked: it never holds up an erasure.

Before the data in the database, so that an operator that ends in between does it again; query pods keep no answer of a
tenant that is closed.
"""

from __future__ import annotations

from uuid import UUID

from rag_operator.api import names, resolve
from rag_operator.api.errors import PermanentError
from rag_operator.api.pipeline import RagPipeline
from rag_operator.build.cache import secret_name
from rag_operator.build.config import CACHE_CA_KEY, CACHE_URL_KEY
from rag_operator.decide.checks import Check
from rag_operator.engine.context import Binding, Context
from rag_operator.engine.secrets import read_secret
from rag_operator.kube.kinds import DEPLOYMENT
from rag_operator.stores.erasure import erase
from rag_operator.stores.errors import StoreTrouble
from rag_operator.stores.redis import remove
from rag_operator.stores.tenants import TenantRow
from rag_runtime.contract.cache import VERSION_SECONDS, tenant_prefix


async def erase_tenant(context: Context, binding: Binding, row: TenantRow) -> str:
    """Erase a closed tenant's cache and data, in as many transactions as it takes; returns what the cache said."""
    emptied = await _empty_cache(context, binding, row.id)
    erased = False
    while not erased:
        async with context.transaction(binding) as tx:
            erased = await erase(tx, row.namespace, row.name)
    return emptied


async def _empty_cache(context: Context, binding: Binding, incarnation: UUID) -> str:
    """Delete a tenant's keys; returns what became of them, or why they stay and until when, for people."""
    meta, spec = binding.pipeline.metadata, binding.pipeline.spec
    field = "spec.cache.managed" if resolve.managed_cache(spec) else "spec.cache.secretRef"
    try:
        secret = await read_secret(context.api, meta.namespace, secret_name(binding.pipeline), field, (CACHE_URL_KEY,))
        if not isinstance(secret, Check):
            url, ca = (secret.data.get(key, b"").decode(errors="replace") for key in (CACHE_URL_KEY, CACHE_CA_KEY))
            removed = await remove(url, tenant_prefix(incarnation), secret.name, ca)
            return f"its keys in the cache are gone ({removed})"
        why = secret.message
    except (PermanentError, StoreTrouble) as trouble:
        why = str(trouble)
    if resolve.managed_cache(spec) and not await _has_managed(context, binding.pipeline):
        return "the managed cache is gone, and what it held with it"
    answers, version = spec.cache.exact.ttl, f"{VERSION_SECONDS // 3600}h"
    return (
        f"the cache was not emptied: {why}; what it holds of this tenant expires by itself: answers at the latest "
        f"{answers} after they were given (spec.cache.exact.ttl), the number of its index version after {version}"
    )


async def _has_managed(context: Context, pipeline: RagPipeline) -> bool:
    name = names.cache(pipeline.metadata.name)
    return await context.api.get(DEPLOYMENT, pipeline.metadata.namespace, name) is not None
