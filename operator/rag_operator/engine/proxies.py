"""Whether the proxies' login is where pods read it: in their own namespace. The operator copies none there."""

from __future__ import annotations

from collections.abc import Iterable

from rag_operator.api.conditions import Reason
from rag_operator.api.pipeline import RagPipeline
from rag_operator.api.tenant import RagTenant
from rag_operator.decide.checks import Check
from rag_operator.engine.context import Context
from rag_operator.engine.secrets import read_secret
from rag_runtime.contract.proxies import PASSWORD, USERNAME

_FIELD = "proxy.secretName of the operator's chart"


def called_by(pipeline: RagPipeline, tenant: RagTenant) -> tuple[str, ...]:
    """What a tenant's ingestion pods call: the embedding endpoint, and http sources."""
    endpoint = pipeline.spec.embedding.endpoint
    pages = [str(url) for source in tenant.spec.sources if source.http for url in source.http.urls]
    return (*([str(endpoint.base_url)] if endpoint else []), *pages)


async def missing_login(context: Context, namespace: str, urls: Iterable[str]) -> Check | None:
    """What lacks where pods of a namespace reach one of `urls` by a proxy that asks for a login; None: nothing."""
    proxy = context.settings.release.proxy
    if not proxy.needs_login(urls):
        return None
    secret = await read_secret(context.api, namespace, proxy.secret, _FIELD, (USERNAME, PASSWORD))
    if isinstance(secret, Check):
        message = f"{secret.message}; its keys {USERNAME} and {PASSWORD} are what the proxies ask for"
        return Check(secret.ok, secret.reason, message)
    if b":" in secret.data[USERNAME]:
        message = f"{_FIELD}: Secret {namespace}/{secret.name}: {USERNAME} has a colon, which no login has: correct it"
        return Check(False, Reason.SECRET_INVALID, message)
    return None
