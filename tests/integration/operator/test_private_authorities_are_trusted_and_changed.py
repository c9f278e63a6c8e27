"""A13: certificates of private authorities, from their ConfigMap to the pods; and proxies on the way out."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.certificates import Authority
from tests.support.looks import looks, settles, written
from tests.support.operator import EVERYONE, HANDBOOK, World, beside, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
ENDPOINT = {"baseURL": "https://models.corp.example/v1", "caRef": {"name": "corp-ca"}}
CHAT = {"models": [{"model": "m", "endpoint": ENDPOINT}]}


def authority(folder: Path, name: str) -> dict[str, Any]:
    """A ConfigMap with a new authority's certificate."""
    made = Authority(folder / name)
    made.create()
    text = made.crt("ca").read_text()
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "corp-ca"}, "data": {"ca.crt": text}}


def revisions(here: World) -> tuple[int, str]:
    """How often the query Deployment's spec has changed, and the versions that its pods trust."""
    live = here.get("deployment", "support-query") or {}
    annotations = live["spec"]["template"]["metadata"]["annotations"]
    return live["metadata"]["generation"], annotations.get("rag-operator.dev/ca-versions", "")


def look(here: World, mark: str) -> None:
    """Wait until the operator has looked again: at a change of the resource it looks at once."""
    here.apply(pipeline(llm=CHAT | {"noAnswer": mark}))
    generation = (here.get("ragpipeline", "support") or {})["metadata"]["generation"]
    eventually(
        lambda: (here.get("ragpipeline", "support") or {}).get("status", {}).get("observedGeneration") == generation,
        f"the operator looks at {mark}",
    )


def test_missing_certificates_are_told_and_heal_and_changed_ones_roll_the_pods_once(
    here: World, database: str, tmp_path: Path
) -> None:
    replica = here.operator(resync_seconds="2")
    here.apply(pipeline(llm=CHAT), here.database_secret(database))
    said = here.wait_condition("ragpipeline", "support", "Degraded", "CANotFound")
    assert said["message"] == f"caRef: ConfigMap {here.namespace}/corp-ca does not exist: create it"
    assert revisions(here)[1] == ""
    here.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "corp-ca"}, "data": {"other": "x"}})
    said = here.wait_condition("ragpipeline", "support", "Degraded", "CAInvalid")
    assert "lacks the key ca.crt: add it" in said["message"]
    here.kubectl("patch", "configmap", "corp-ca", "--type=merge", "-p", '{"data":{"ca.crt":"no certificate"}}')
    eventually(
        lambda: "holds no PEM certificates" in here.condition("ragpipeline", "support", "Degraded")["message"], "said"
    )
    before, none = revisions(here)
    assert none == ""

    here.apply(authority(tmp_path, "first"))
    here.wait_condition("ragpipeline", "support", "Degraded", "AsExpected")
    healed, first = revisions(here)
    assert healed == before + 1
    assert first.startswith("corp-ca/ca.crt=")

    here.kubectl("label", "configmap", "corp-ca", "someone.example/note=x")
    looks(replica)
    here.kubectl("delete", "configmap", "corp-ca")
    here.wait_condition("ragpipeline", "support", "Degraded", "CANotFound")
    assert revisions(here) == (healed, first), "neither a label nor an absence rolls pods"
    here.apply(authority(tmp_path, "second"))
    eventually(lambda: revisions(here)[1] != first, "the new certificates")
    changed, second = revisions(here)
    look(here, "again")
    look(here, "and again")
    assert revisions(here)[1] == second
    assert changed == healed + 1
    spec = (here.get("deployment", "support-query") or {})["spec"]["template"]["spec"]
    assert "/etc/rag/ca/corp-ca" in [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]]


def test_a_secret_that_is_away_rolls_nothing_and_its_successor_once(here: World, database: str) -> None:
    here.operator(resync_seconds="2")
    key = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "models"}, "stringData": {"api-key": "one"}}
    chat = {"model": "m", "endpoint": {"baseURL": ENDPOINT["baseURL"], "secretRef": {"name": "models"}}}
    here.apply(pipeline(llm={"models": [chat]}), key, here.database_secret(database))
    eventually(lambda: here.get("deployment", "support-query"), "the query pods")
    here.wait_condition("ragpipeline", "support", "Degraded", "AsExpected")
    before = (here.get("deployment", "support-query") or {})["spec"]["template"]
    here.kubectl("delete", "secret", "models")
    here.wait_condition("ragpipeline", "support", "Degraded", "SecretNotFound")
    assert (here.get("deployment", "support-query") or {})["spec"]["template"] == before
    here.apply(key | {"stringData": {"api-key": "two"}})
    here.wait_condition("ragpipeline", "support", "Degraded", "AsExpected")
    assert (here.get("deployment", "support-query") or {})["spec"]["template"] != before


def test_proxies_reach_the_pods_that_call_out(here: World, database: str) -> None:
    here.operator(https_proxy="http://proxy.corp.example:3128", no_proxy=".corp.example", image_pull_secrets="mirror")
    here.apply(pipeline(), tenant(), HANDBOOK, here.database_secret(database))
    query = _found(here, "deployment", "support-query")["template"]["spec"]
    ingestion = _found(here, "cronjob", "acme-ingest")["jobTemplate"]["spec"]["template"]["spec"]
    redis = _found(here, "deployment", "support-cache")["template"]["spec"]
    for spec in (query, ingestion):
        env = {one["name"]: one.get("value") for one in spec["containers"][0]["env"]}
        assert env["HTTPS_PROXY"] == "http://proxy.corp.example:3128"
        assert env["NO_PROXY"] == "localhost,127.0.0.1,::1,.svc,.cluster.local,.corp.example"
    for spec in (query, ingestion, redis):
        assert spec["imagePullSecrets"] == [{"name": "mirror"}]


PASSWORD = "s3cret:@/%"
PROXIED = {"https_proxy": "http://proxy.corp.example:3128", "no_proxy": ".corp.example", "proxy_secret": "corp-proxy"}
MISSED = "proxy.secretName of the operator's chart: Secret {}/corp-proxy"
MEND = "; its keys username and password are what the proxies ask for"


def login(**data: str) -> dict[str, Any]:
    """The Secret that the chart's value names."""
    kind = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque" if len(data) < 2 else "kubernetes.io/basic-auth"}
    return kind | {"metadata": {"name": "corp-proxy"}, "stringData": data}


def test_a_proxys_login_is_missed_beside_the_pods_and_heals_and_a_changed_one_rolls_nothing(
    here: World, database: str
) -> None:
    with beside(here) as there:
        both = f"{here.namespace},{there.namespace}"
        replica = here.operator(resync_seconds="2", watch_namespaces=both, **PROXIED)
        endpoint = {"endpoint": {"baseURL": "https://models.example/v1"}, "model": "m", "dimensions": 8}
        here.apply(pipeline(embedding=endpoint, tenancy=EVERYONE), here.database_secret(database))
        there.apply(tenant(pipelineRef={"name": "support", "namespace": here.namespace}), HANDBOOK)
        said = here.wait_condition("ragpipeline", "support", "Degraded", "SecretNotFound")
        assert said["message"] == f"{MISSED.format(here.namespace)} does not exist: create it{MEND}"
        here.apply(login(username="rag-bot", password=PASSWORD))
        here.wait_condition("ragpipeline", "support", "Degraded", "AsExpected")
        said = there.wait_condition("ragtenant", "acme", "Ready", "SecretNotFound")
        assert said["message"] == f"{MISSED.format(there.namespace)} does not exist: create it{MEND}"
        for content, why in (
            (login(username="rag-bot"), f" lacks the key password: add it{MEND}"),
            (login(username="rag:bot", password=PASSWORD), ": username has a colon, which no login has: correct it"),
        ):
            there.apply(content)
            eventually(partial(_says, there, MISSED.format(there.namespace) + why), why)
            assert there.kubectl("get", "jobs", "-o", "name") == ""
            there.kubectl("delete", "secret", "corp-proxy")
        there.apply(login(username="rag-bot", password=PASSWORD))
        eventually(lambda: there.kubectl("get", "jobs", "-o", "name"), "the first ingestion")
        there.wait_condition("ragtenant", "acme", "Degraded", "AsExpected")

        settles(here, replica)
        mark = here.api.audit.mark()
        here.kubectl("patch", "secret", "corp-proxy", "--type=merge", "-p", '{"stringData":{"password":"another"}}')
        looks(replica, 3)
        assert not written(here, mark), "files are read again: nothing rolls"
        for world in (here, there):
            assert PASSWORD not in world.kubectl("get", "all,configmaps,events,ragp,ragt", "-o", "yaml")
            assert json.loads(world.kubectl("get", "secrets", "-o", "json"))["items"]
        assert PASSWORD not in here.logs()


def test_who_calls_nothing_through_a_proxy_needs_no_login(here: World, database: str) -> None:
    here.operator(resync_seconds="2", **PROXIED)
    inside = {"models": [{"model": "m", "endpoint": {"baseURL": "https://models.corp.example/v1"}}]}
    page = {"name": "site", "http": {"urls": ["https://docs.example/"]}}
    here.apply(pipeline(llm=inside), tenant(), tenant("beta", sources=[page]), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "beta", "Ready", "SecretNotFound")
    here.wait_condition("ragtenant", "acme", "IngestSucceeded", "Ingesting")
    for kind, name in (("ragpipeline", "support"), ("ragtenant", "acme")):
        here.wait_condition(kind, name, "Degraded", "AsExpected")
    mounts = _found(here, "deployment", "support-query")["template"]["spec"]["containers"][0]["volumeMounts"]
    assert "/etc/rag/keys/corp-proxy" in [mount["mountPath"] for mount in mounts]


def _says(there: World, message: str) -> bool:
    return bool(there.condition("ragtenant", "acme", "Ready").get("message") == message)


def _found(here: World, kind: str, name: str) -> dict[str, Any]:
    """The child's spec, once it is there."""
    spec: dict[str, Any] = eventually(lambda: here.get(kind, name) or {}, f"{kind} {name}")["spec"]
    return spec
