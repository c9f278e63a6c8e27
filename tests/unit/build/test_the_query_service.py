"""The query pods: who owns their number, what rolls them, what they mount."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from rag_operator.api.common import SecretKeyRef
from rag_operator.api.formats import DataKey, ObjectName
from rag_operator.build import query
from rag_operator.build.common import DatabaseAddress, Manifest
from rag_operator.build.query import QueryInputs
from tests.unit.build.samples import ADDRESS, PIPELINES, RELEASE, pipeline


def deployment(about: str = "minimal", **inputs: Any) -> Manifest:
    given: dict[str, Any] = {"config_map": "support-runtime-12345678", "secret_versions": {}, "replicas": 2} | inputs
    return query.query_deployment(PIPELINES[about], RELEASE, QueryInputs(**given))


def pod(about: str = "minimal", **inputs: Any) -> Any:
    return deployment(about, **inputs)["spec"]["template"]["spec"]


def test_replicas_are_absent_where_an_autoscaler_owns_them() -> None:
    assert "replicas" not in deployment(replicas=None)["spec"]
    assert deployment(replicas=3)["spec"]["replicas"] == 3


def test_a_disruption_budget_needs_two_pods() -> None:
    assert query.query_pdb(PIPELINES["one replica"]) is None
    low = pipeline({"database": {"managed": {}}, "scaling": {"minReplicas": 1, "maxReplicas": 5}})
    assert query.query_pdb(low) is None
    for about in ("minimal", "hosted"):
        budget = query.query_pdb(PIPELINES[about])
        assert budget is not None
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["selector"] == deployment(about)["spec"]["selector"]


def test_a_rollout_never_has_fewer_pods_than_asked_for() -> None:
    strategy = deployment()["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


def test_the_same_inputs_give_the_same_pods() -> None:
    assert deployment(secret_versions={"a": "1", "b": "2"}) == deployment(secret_versions={"b": "2", "a": "1"})


def test_a_changed_secret_or_configuration_rolls_the_pods() -> None:
    start = deployment(secret_versions={"openai": "u/1"})
    assert start != deployment(secret_versions={"openai": "u/2"})
    assert start != deployment(secret_versions={"openai": "u/1"}, config_map="support-runtime-87654321")


def test_another_number_of_pods_does_not_roll_them() -> None:
    assert deployment(replicas=2)["spec"]["template"] == deployment(replicas=7)["spec"]["template"]


def test_an_upgrade_of_the_operator_with_the_same_images_does_not_roll_the_pods() -> None:
    newer = RELEASE.__class__("9.9.9", *(getattr(RELEASE, field) for field in RELEASE.__slots__[1:]))
    inputs = QueryInputs("c", {}, 2)
    one, two = (query.query_deployment(PIPELINES["minimal"], release, inputs) for release in (RELEASE, newer))
    assert one == two


def test_only_keys_in_use_are_mounted_and_a_vanished_secret_stops_no_pod() -> None:
    volumes = {
        volume["secret"]["secretName"]: volume["secret"] for volume in pod("hosted")["volumes"] if "secret" in volume
    }
    assert [item["key"] for item in volumes["openai"]["items"]] == ["api-key", "chat"]
    assert volumes["openai"]["optional"] is True
    assert [item["key"] for item in volumes["redis.shared"]["items"]] == ["ca", "url"]
    assert volumes["redis.shared"]["optional"] is True, "pods answer without a cache too"
    paths = {mount["mountPath"] for mount in pod("hosted")["containers"][0]["volumeMounts"]}
    assert "/etc/rag/keys/openai" in paths


def test_a_retained_revisions_key_is_mounted_besides() -> None:
    old = SecretKeyRef(name=ObjectName("former.provider"), key=DataKey("token"))
    mounts = {mount["mountPath"] for mount in pod(key_refs=(old,))["containers"][0]["volumeMounts"]}
    assert "/etc/rag/keys/former.provider" in mounts


def test_clients_get_time_to_notice_that_a_pod_ends() -> None:
    spec = pod()
    seconds = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 3 <= seconds <= 5
    assert spec["terminationGracePeriodSeconds"] == 30 + seconds


def test_the_users_image_and_pull_secrets_are_used() -> None:
    spec = pod("hosted")
    assert spec["containers"][0]["image"] == "registry.example/rag-runtime:1"
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    assert "imagePullSecrets" not in pod()


def test_the_service_is_named_like_the_pipeline_and_finds_the_pods() -> None:
    service = query.query_service(PIPELINES["minimal"])
    assert service["metadata"]["name"] == "support"
    assert service["spec"]["selector"].items() <= deployment()["spec"]["template"]["metadata"]["labels"].items()
    assert service["spec"]["ports"][0]["port"] == 8000


def test_the_database_folder_has_the_address_and_each_login() -> None:
    logins = {"query-00": ("a", "pa"), "query-01": ("b", "pb")}
    secret = query.query_database_secret(PIPELINES["minimal"], ADDRESS, logins)
    assert {key: b64decode(value).decode() for key, value in secret["data"].items()} == {
        "host": "db.rag.svc",
        "port": "5432",
        "dbname": "rag",
        "sslmode": "verify-full",
        "ca": "PEM",
        "query-00.username": "a",
        "query-00.password": "pa",
        "query-01.username": "b",
        "query-01.password": "pb",
    }
    plain = query.query_database_secret(PIPELINES["minimal"], DatabaseAddress("h", 1, "d", "disable"), {})
    assert "ca" not in plain["data"]
