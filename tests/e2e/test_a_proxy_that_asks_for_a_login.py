"""A13: on pods, with their policies: an http source that only a proxy reaches, which asks for a login from a Secret."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.place import PIPELINE, Place, running, tenant
from tests.install import install
from tests.support import proxy
from tests.support.operator import secret

pytestmark = pytest.mark.e2e
HOST, PORT = "docs.corp.example:8081", 3128
"""The host is no name that this cluster knows: the proxy's own resolution finds it."""
LOGIN = ("rag-bot", "any: @/% or \N{EURO SIGN}")
PAGE = "<h1>Lighthouse</h1><p>The lighthouse keeper climbs the tower at a quarter past four."


@contextmanager
def behind(place: Place) -> Iterator[None]:
    """The place's operator and pods, told of a proxy that runs in a pod beside them."""
    own = (f"watchNamespaces={{{place.namespace}}}", "rbac.aggregateToDefaultRoles=false")
    network = f"asyncio.run(before_a_page({HOST!r}, {PAGE!r}, {':'.join(LOGIN)!r}, {PORT}))"
    with running(place, place.namespace, inspect.getsource(proxy) + network, {"app": "corp-proxy"}) as pod:
        place.kubectl("expose", f"pod/{pod}", "--name=corp-proxy", f"--port={PORT}")
        address = f"http://corp-proxy.{place.namespace}.svc:{PORT}"
        try:
            install(place.tools, *own, f"proxy.http={address}", "proxy.secretName=corp", namespace=place.namespace)
            yield
        finally:
            place.kubectl("delete", "service", "corp-proxy")
            install(place.tools, *own, namespace=place.namespace)
            place.told(lambda: "PROXY" not in str(place.get("deployment", "support-query")), "pods are told of none")
            place.kubectl("rollout", "status", "deployment/support-query", "--timeout=300s")


def ready(place: Place) -> dict[str, Any]:
    """The tenant's condition Ready; empty before there is one."""
    conditions = place.get("ragtenant", "harbour").get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == "Ready"), {})


def test_a_page_behind_it_is_ingested_once_the_secret_is_there(place: Place) -> None:
    allowed: dict[str, Any] = {"ingestion": {"sources": {"allowedHosts": [HOST]}}}
    harbour = tenant("harbour")
    harbour["spec"]["sources"] = [{"name": "site", "http": {"urls": [f"http://{HOST}/lighthouse"]}}]
    try:
        with behind(place):
            place.apply(PIPELINE | {"spec": {"database": {"managed": {}}} | allowed}, harbour)
            place.told(lambda: ready(place).get("reason") == "SecretNotFound", "what is missing is said")
            assert f"Secret {place.namespace}/corp does not exist" in ready(place)["message"]
            place.apply(secret("corp", dict(zip(("username", "password"), LOGIN, strict=True))))
            place.wait_ready("ragtenant", "harbour")
            found = place.ask("harbour", "When does the lighthouse keeper climb the tower?")["sources"]
            assert [source["uri"] for source in found] == [f"http://{HOST}/lighthouse"]
            shown = place.kubectl("logs", "-l", "app.kubernetes.io/component=ingest", "--tail=-1")
            made = place.kubectl("get", "deploy,cronjobs,jobs,configmaps,events,ragp,ragt", "-o", "yaml")
            assert LOGIN[1] not in shown + made
    finally:
        place.kubectl("delete", "ragtenant", "harbour", "--ignore-not-found", "--timeout=300s")
        place.kubectl("delete", "secret", "corp", "--ignore-not-found")
        place.apply(PIPELINE)
        place.wait_ready("ragpipeline", "support")
