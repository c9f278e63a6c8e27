"""The managed Postgres: its volume's fate, its login, its pod."""

from __future__ import annotations

from base64 import b64decode
from uuid import UUID, uuid4

from rag_operator.api.pipeline import RagPipeline
from rag_operator.build.common import Manifest
from rag_operator.build.postgres import managed_postgres, managed_postgres_secret
from tests.unit.build.samples import PASSWORD, PIPELINES, RELEASE, pipeline

MINIMAL = PIPELINES["minimal"]


def by_kind(version: str = "uid/1", about: str = "minimal") -> dict[str, Manifest]:
    return {child["kind"]: child for child in managed_postgres(PIPELINES[about], RELEASE, version)}


def owners(of: RagPipeline, catalog: UUID | None) -> list[str]:
    status = of.status.model_copy(update={"catalog_id": str(catalog) if catalog else None})
    metadata = managed_postgres(of.model_copy(update={"status": status}), RELEASE, "uid/1")[0]["metadata"]
    return [owner["kind"] for owner in metadata.get("ownerReferences", [])]


def test_under_retain_the_volume_has_no_owner_and_under_delete_the_pipeline() -> None:
    assert owners(MINIMAL, uuid4()) == []
    assert owners(PIPELINES["erased at the end"], uuid4()) == ["RagPipeline"]


def test_a_volume_in_which_the_pipeline_has_no_catalog_yet_has_no_owner() -> None:
    assert owners(PIPELINES["erased at the end"], None) == []


def test_a_new_pipeline_of_the_same_name_finds_the_volume_again() -> None:
    again = pipeline(uid="another")
    claims = [managed_postgres(one, RELEASE, "uid/1")[0] for one in (MINIMAL, again)]
    assert claims[0] == claims[1]


def test_size_and_class_of_the_volume_are_the_users() -> None:
    claim = by_kind(about="erased at the end")["PersistentVolumeClaim"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert claim["spec"]["storageClassName"] == "fast"
    assert "storageClassName" not in by_kind()["PersistentVolumeClaim"]["spec"], "absent: the cluster's default"


def test_the_secret_reads_like_one_of_the_users_own() -> None:
    secret = managed_postgres_secret(MINIMAL, PASSWORD)
    data = {key: b64decode(value).decode() for key, value in secret["data"].items()}
    assert data == {
        "host": "support-postgres.rag.svc",
        "port": "5432",
        "dbname": "rag",
        "username": "rag_admin",
        "password": PASSWORD,
        "sslmode": "disable",
    }


def test_a_changed_secret_rolls_the_pod_without_telling_its_content() -> None:
    one, two = (by_kind(version)["StatefulSet"]["spec"]["template"] for version in ("uid/1", "uid/2"))
    assert one["metadata"]["annotations"] != two["metadata"]["annotations"]
    assert one["spec"] == two["spec"]


def test_the_password_is_a_file_and_the_data_below_the_volumes_root() -> None:
    spec = by_kind()["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert env["POSTGRES_PASSWORD_FILE"].startswith(f"{mounts['password']}/")
    assert env["PGDATA"].startswith(f"{mounts['data']}/")
    (volume,) = (volume for volume in spec["volumes"] if volume["name"] == "password")
    assert [item["key"] for item in volume["secret"]["items"]] == ["password"]


def test_a_parallel_index_build_has_shared_memory() -> None:
    spec = by_kind()["StatefulSet"]["spec"]["template"]["spec"]
    (shm,) = (volume for volume in spec["volumes"] if volume["name"] == "shm")
    assert shm["emptyDir"] == {"medium": "Memory", "sizeLimit": "256Mi"}
    assert {"name": "shm", "mountPath": "/dev/shm"} in spec["containers"][0]["volumeMounts"]


def test_readiness_asks_over_tcp_where_the_first_setup_does_not_listen() -> None:
    (container,) = by_kind()["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"]["exec"]["command"][:4] == ["pg_isready", "-q", "-h", "127.0.0.1"]
