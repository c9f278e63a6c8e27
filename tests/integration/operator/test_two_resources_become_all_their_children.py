"""A2, A3, A4, A6: what `kubectl apply` of a pipeline and a tenant makes, in either order, and that it stays so."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.support.looks import idles, looks, observed
from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant
from tests.unit.api.pods import PLACED, WORKLOAD

pytestmark = pytest.mark.integration
ROLE = "eks.amazonaws.com/role-arn"
CHILDREN = [
    ("service", "support"),
    ("deployment", "support-query"),
    ("poddisruptionbudget", "support-query"),
    ("secret", "support-query-db"),
    *(("networkpolicy", f"support-{pods}") for pods in ("query", "ingestion", "cache")),
    ("deployment", "support-cache"),
    ("service", "support-cache"),
    ("secret", "support-cache"),
    ("cronjob", "acme-ingest"),
    ("secret", "acme-api-key"),
    ("secret", "acme-ingest-db"),
]
AUTOSCALER = ("horizontalpodautoscaler", "support-query")
LABEL = {"app.kubernetes.io/component": "x"}
ELSEWHERE = {"data": {"host": "ZWxzZXdoZXJl", "x": "eA=="}, "metadata": {"labels": LABEL}}
IMAGE = {"spec": {"template": {"spec": {"containers": [{"name": "redis", "image": "elsewhere"}]}}}}
EDITS: dict[tuple[str, str], dict[str, Any]] = {
    ("service", "support"): {"spec": {"selector": {"mesh": "x"}}},
    ("deployment", "support-query"): {"spec": {"replicas": 7}},
    ("poddisruptionbudget", "support-query"): {"spec": {"maxUnavailable": 2}},
    ("secret", "support-query-db"): ELSEWHERE,
    ("networkpolicy", "support-query"): {"spec": {"podSelector": {"matchLabels": {"no": "pod"}}}},
    ("networkpolicy", "support-ingestion"): {"spec": {"ingress": [{}]}},
    ("networkpolicy", "support-cache"): {"spec": {"ingress": [{}], "egress": [{}]}},
    ("deployment", "support-cache"): IMAGE,
    ("service", "support-cache"): {"metadata": {"labels": LABEL}},
    ("cronjob", "acme-ingest"): {"spec": {"schedule": "1 2 3 4 5"}},
    ("secret", "acme-ingest-db"): ELSEWHERE,
}
"""A field of ours in each child, but of those Secrets whose data are their holder's."""
HELD: dict[tuple[str, str], dict[str, Any]] = {
    ("secret", "support-cache"): {"metadata": {"labels": LABEL}},
    ("secret", "acme-api-key"): {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}},
}
"""Of those Secrets too. By themselves, as pods roll with their version."""


def _children(here: World) -> list[dict[str, Any]]:
    return [live for kind, name in CHILDREN if (live := here.get(kind, name))]


def _annotations(here: World, kind: str, name: str) -> dict[str, str]:
    found: dict[str, str] = (here.get(kind, name) or {})["metadata"]["annotations"]
    return found


def _template(here: World) -> dict[str, Any]:
    found: dict[str, Any] = (here.get("deployment", "support-query") or {})["spec"]["template"]
    return found


@pytest.mark.parametrize("order", ["pipeline first", "tenant first"])
def test_every_child_is_made_owned_and_labelled_in_either_order(here: World, database: str, order: str) -> None:
    here.operator()
    first, second = (pipeline(), tenant()) if order == "pipeline first" else (tenant(), pipeline())
    here.apply(first)
    here.apply(second, HANDBOOK, here.database_secret(database))
    children = eventually(lambda: len(c := _children(here)) == len(CHILDREN) and c, "all children")
    assert isinstance(children, list)
    for child in children:
        owners = [(o["kind"], o["controller"]) for o in child["metadata"]["ownerReferences"]]
        assert owners in ([("RagPipeline", True)], [("RagTenant", True)])
        assert child["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "rag-operator"
    here.wait_condition("ragpipeline", "support", "DatabaseReady", "AsExpected")
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")


def test_the_first_ingestion_starts_at_once_and_once(here: World, database: str) -> None:
    here.operator()
    here.apply(pipeline(), tenant(), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "IngestSucceeded", "Ingesting")
    jobs = here.kubectl("get", "jobs", "-o", "name").split()
    assert len(jobs) == 1


def test_a_tenant_gets_a_schema_and_roles_that_can_use_only_it(here: World, database: str) -> None:
    here.operator()
    here.apply(pipeline(), HANDBOOK, tenant("a"), tenant("b"), here.database_secret(database))
    for name in ("a", "b"):
        here.wait_condition("ragtenant", name, "DatabaseReady", "AsExpected")
    schema_of_b = (here.get("ragtenant", "b") or {})["status"]["schema"]
    login = here.secret("a-ingest-db")
    dsn = (
        f"host={login['host']} port={login['port']} dbname={login['dbname']} "
        f"user={login['ingest.username']} password={login['ingest.password']}"
    )
    with psycopg.connect(dsn, autocommit=True) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"SELECT * FROM {schema_of_b}.document")


def test_drift_of_any_child_is_corrected(here: World, database: str) -> None:
    here.operator(resync_seconds="3")
    here.apply(pipeline(), tenant(), HANDBOOK, here.database_secret(database))
    eventually(lambda: len(_children(here)) == len(CHILDREN), "all children")
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    eventually(lambda: len(_configurations(here)) == 2, "both configurations")
    here.kubectl("annotate", "service", "support-cache", "someone.example/note=kept")
    configurations = [("configmap", name) for name in _configurations(here)]
    _edited_and_back(here, EDITS | {child: {"metadata": {"labels": LABEL}} for child in configurations})
    _edited_and_back(here, HELD)
    assert _annotations(here, "service", "support-cache")["someone.example/note"] == "kept"
    _deleted_and_back(here, [*CHILDREN, *configurations])
    _edited_and_back(here, {child: EDITS[child] for child in EDITS if child[0] == "secret"})
    here.apply(pipeline(scaling={"minReplicas": 2, "maxReplicas": 5}))
    eventually(lambda: here.get(*AUTOSCALER), "the autoscaler")
    _edited_and_back(here, {AUTOSCALER: {"spec": {"maxReplicas": 50}}})
    _deleted_and_back(here, [AUTOSCALER])


def _configurations(here: World) -> list[str]:
    made = here.kubectl("get", "configmap", "-l", "app.kubernetes.io/managed-by=rag-operator", "-o", "name")
    return [name.partition("/")[2] for name in made.split()]


def _edited_and_back(here: World, edits: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Another hand changes each; its content is what it was."""
    before = {child: _content(here, child) for child in edits}
    for child, patch in edits.items():
        assert "no change" not in here.kubectl("patch", *child, "-p", json.dumps(patch))
    for child in edits:
        eventually(partial(_is, here, child, before[child]), f"{child} is as it was")


def _is(here: World, child: tuple[str, str], content: dict[str, Any]) -> bool:
    return _content(here, child) == content


def _deleted_and_back(here: World, children: list[tuple[str, str]]) -> None:
    former = {child: _uid(here, child) for child in children}
    for kind, name in children:
        here.kubectl("delete", kind, name)
    for child in children:
        eventually(partial(_is_new, here, child, former[child]), f"{child} comes back")


def _is_new(here: World, child: tuple[str, str], former: str) -> bool:
    return _uid(here, child) not in ("", former)


def _uid(here: World, child: tuple[str, str]) -> str:
    return str((here.get(*child) or {"metadata": {"uid": ""}})["metadata"]["uid"])


def _content(here: World, child: tuple[str, str]) -> dict[str, Any]:
    live = here.get(*child) or {"metadata": {}}
    return {"labels": live["metadata"].get("labels"), "spec": live.get("spec"), "data": live.get("data")}


def test_what_is_said_about_pods_arrives_stays_and_rests(here: World, database: str) -> None:
    replica = here.operator(resync_seconds="2")
    own = {"topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
    query = {**WORKLOAD, "topologySpreadConstraints": [own, *WORKLOAD["topologySpreadConstraints"][:1]]}
    placed = pipeline(query={"pod": query}, ingestion={"pod": WORKLOAD}, cache=PLACED["cache"])
    here.apply(placed, tenant(suspend=True), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "Ready", "Suspended")
    eventually(lambda: here.get("deployment", "support-query"), "the query pods")
    edited = {"metadata": {"labels": {"team": "x", "theirs": "kept"}}, "spec": {"nodeSelector": {"disk": "x"}}}
    patch = json.dumps({"spec": {"template": edited}})
    here.kubectl("patch", "deployment", "support-query", "--type=merge", "-p", patch)
    here.kubectl("annotate", "serviceaccount", "support-query", "--overwrite", f"{ROLE}=x", "someone.example/note=kept")
    here.apply(placed | {"spec": placed["spec"] | {"scaling": {"replicas": 3}}})
    eventually(lambda: _template(here)["spec"]["nodeSelector"]["disk"] == "ssd", "the drift is mended")
    labels = _template(here)["metadata"]["labels"]
    assert (labels["team"], labels["theirs"]) == ("search", "kept")
    role = WORKLOAD["serviceAccountAnnotations"][ROLE]
    eventually(lambda: _annotations(here, "serviceaccount", "support-query")[ROLE] == role, "the account's role")
    assert _annotations(here, "serviceaccount", "support-query")["someone.example/note"] == "kept"
    assert (here.get("serviceaccount", "support-ingestion") or {})["automountServiceAccountToken"] is False
    idles(here, replica)


def test_an_account_that_is_no_longer_asked_for_loses_its_role_and_stays(here: World, database: str) -> None:
    here.operator()
    said = {"pod": {"serviceAccountAnnotations": WORKLOAD["serviceAccountAnnotations"]}}
    here.apply(pipeline(query=said), here.database_secret(database))
    eventually(lambda: here.get("deployment", "support-query"), "the query pods")
    assert _template(here)["spec"]["serviceAccountName"] == "support-query"
    assert not here.get("serviceaccount", "support-ingestion")
    here.kubectl("create", "serviceaccount", "support-ingestion")
    here.apply(pipeline())
    eventually(lambda: "serviceAccountName" not in _template(here)["spec"], "pods without an account")
    assert ROLE not in _annotations(here, "serviceaccount", "support-query")
    assert "ownerReferences" not in (here.get("serviceaccount", "support-ingestion") or {})["metadata"]
    observed(here, "ragpipeline", "support")
    assert here.condition("ragpipeline", "support", "Degraded")["status"] == "False"


def test_an_autoscaler_owns_the_replicas_and_giving_it_up_sets_them_again(here: World, database: str) -> None:
    replica = here.operator(resync_seconds="2")
    here.apply(pipeline(scaling={"minReplicas": 2, "maxReplicas": 5}), here.database_secret(database))
    eventually(lambda: here.get("horizontalpodautoscaler", "support-query"), "the autoscaler")
    here.kubectl("scale", "deployment", "support-query", "--replicas=4")
    here.kubectl("delete", "service", "support")
    looks(replica)
    assert here.get("service", "support"), "it comes back, so the operator has looked since"
    assert (here.get("deployment", "support-query") or {})["spec"]["replicas"] == 4
    here.apply(pipeline(scaling={"replicas": 3}))
    eventually(lambda: not here.get("horizontalpodautoscaler", "support-query"), "the autoscaler is gone")
    eventually(lambda: (here.get("deployment", "support-query") or {})["spec"]["replicas"] == 3, "three replicas")


def test_a_disruption_budget_goes_with_the_second_replica(here: World, database: str) -> None:
    here.operator()
    here.apply(pipeline(), here.database_secret(database))
    eventually(lambda: here.get("poddisruptionbudget", "support-query"), "the budget")
    here.apply(pipeline(scaling={"replicas": 1}))
    eventually(lambda: not here.get("poddisruptionbudget", "support-query"), "no budget")


def test_network_policies_come_and_go_with_their_switch(here: World, database: str) -> None:
    here.operator()
    here.apply(pipeline(), here.database_secret(database))
    for pods in ("query", "ingestion", "cache"):
        eventually(partial(_there, here, f"support-{pods}"), f"the policy of {pods}")
    ingest = here.get("networkpolicy", "support-ingestion") or {}
    assert ingest["spec"]["egress"][-1]["ports"] == [{"port": _port(database), "protocol": "TCP"}]
    here.apply(pipeline(access={"networkPolicy": {"enabled": False}}))
    for pods in ("query", "ingestion", "cache"):
        eventually(lambda pods=pods: not _there(here, f"support-{pods}"), f"no policy of {pods}")  # type: ignore[misc]


def _there(here: World, name: str) -> bool:
    return here.get("networkpolicy", name) is not None


def _port(dsn: str) -> int:
    return int(str(conninfo_to_dict(dsn)["port"]))


def test_a_redis_of_one_s_own_takes_the_managed_one_s_place_and_gives_it_back(
    here: World, database: str, redis_url: str
) -> None:
    own = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "own"}, "stringData": {"url": redis_url}}
    here.operator()
    here.apply(pipeline(), own, here.database_secret(database))
    eventually(lambda: here.get("deployment", "support-cache"), "the managed cache")
    here.apply(pipeline(cache={"secretRef": {"name": "absent"}}))
    here.wait_condition("ragpipeline", "support", "CacheReady", "SecretNotFound")
    assert here.get("deployment", "support-cache"), "what pods use stays until there is another"
    here.apply(pipeline(cache={"secretRef": {"name": "own"}}))
    here.wait_condition("ragpipeline", "support", "CacheReady", "AsExpected")
    eventually(lambda: not here.get("deployment", "support-cache") and not here.get("service", "support-cache"), "gone")
    here.apply(pipeline())
    eventually(lambda: here.get("deployment", "support-cache") and here.get("service", "support-cache"), "back")


def test_no_secret_value_stands_in_logs_events_status_or_config_maps(here: World, database: str) -> None:
    here.operator(log_level="debug")
    here.apply(pipeline(), tenant(), HANDBOOK, here.database_secret(database))
    eventually(lambda: len(_children(here)) == len(CHILDREN), "all children")
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    values: set[str] = set()
    for name in ("db", "support-query-db", "support-cache", "acme-api-key", "acme-ingest-db"):
        held = here.secret(name)
        values |= {value for key, value in held.items() if "password" in key or "key" in key or "url" in key}
    assert len(values) >= 4
    shown = here.logs() + here.kubectl(
        "get", "events,configmaps,deployments,cronjobs,jobs,services,ragpipelines,ragtenants", "-o", "yaml"
    )
    assert not [value for value in values if value in shown]
