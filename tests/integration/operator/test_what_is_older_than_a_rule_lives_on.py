"""Resources from before a rule, on an API server of this file's own, whose definitions go back and forth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from rag_operator.kube.kinds import PIPELINE, TENANT
from tests.cluster.fixtures import Kubernetes, without_nodes
from tests.cluster.kube_api import ApiError
from tests.integration.operator.conftest import CRDS
from tests.support.operator import HANDBOOK, World, eventually, pipeline, tenant, world
from tests.unit.api.examples import Example
from tests.unit.api.pods import REFUSED_PODS
from tests.unit.api.refused import REFUSED

pytestmark = pytest.mark.integration
RULES = {"x-kubernetes-validations", "pattern", "enum"}
RULES |= {f"{bound}{of}" for bound in ("min", "max") for of in ("imum", "Length", "Items", "Properties")}
OVERLAP: dict[str, Any] = {"chunking": {"size": 200, "overlap": 150}}
"""Broken: a rule of two fields, at the whole spec."""
LONG: dict[str, Any] = {"displayName": "x" * 300}
"""Broken: a bound in the schema."""
PROBES = (tenant("probe", **LONG), pipeline("probe", **OVERLAP))
UNRELATED = {PIPELINE: {"paused": True}, TENANT: {"suspend": True}}


@pytest.fixture(scope="module")
def own_api(testrun: str) -> Iterator[Kubernetes]:
    with without_nodes(f"{testrun}-older") as made:
        yield made


@pytest.fixture
def here(own_api: Kubernetes, tmp_path: Path) -> Iterator[World]:
    """A namespace of this test's own, without an operator yet, where the definitions have no rules yet."""
    _install_without_rules(own_api, tmp_path)
    with world(own_api, tmp_path) as made:
        yield made


def _install_without_rules(api: Kubernetes, folder: Path) -> None:
    definitions = folder / "older"
    definitions.mkdir()
    for path in CRDS.glob("*.yaml"):
        crd = yaml.safe_load(path.read_text())
        schema = crd["spec"]["versions"][0]["schema"]
        schema["openAPIV3Schema"] = _without_rules(schema["openAPIV3Schema"])
        (definitions / path.name).write_text(yaml.safe_dump(crd))
    api.install_kinds(definitions)
    eventually(lambda: all(_is_taken(api, probe) for probe in PROBES), "the API server has forgotten the rules")


def _without_rules(schema: dict[str, Any]) -> dict[str, Any]:
    left = {key: value for key, value in schema.items() if key not in RULES}
    for key in left.keys() & {"items", "additionalProperties"}:
        left[key] = _without_rules(left[key])
    if "properties" in left:
        left["properties"] = {name: _without_rules(one) for name, one in left["properties"].items()}
    return left


def _install_todays(api: Kubernetes) -> None:
    api.install_kinds(CRDS)
    eventually(lambda: not any(_is_taken(api, probe) for probe in PROBES), "the API server has learnt the rules")


def _is_taken(api: Kubernetes, resource: dict[str, Any]) -> bool:
    kind = PIPELINE if resource["kind"] == PIPELINE.kind else TENANT
    try:
        api.client.create(f"{kind.path('default')}?dryRun=All", resource)
    except ApiError:
        return False
    return True


def test_whatever_is_older_than_its_rule_can_be_edited_and_let_go(here: World) -> None:
    older = [made for number, example in enumerate(REFUSED + REFUSED_PODS) if (made := _create(here, example, number))]
    assert len(older) > 100
    _install_todays(here.api)
    refused = [f"{about}: {what}" for about, path in older for what in _not_allowed(here, path)]
    assert refused == []
    for kind in (PIPELINE, TENANT):
        here.api.client.call("DELETE", kind.path(here.namespace))
        assert here.api.client.get(kind.path(here.namespace))["items"] == []


def _create(here: World, example: Example, number: int) -> tuple[str, str] | None:
    """What the example is about, and the path of the made resource; None where older definitions refuse it too."""
    kind = PIPELINE if example.kind == PIPELINE.kind else TENANT
    name = example.name if example.name != "sample" else f"sample-{number}"
    resource = example.resource()
    resource["metadata"] |= {"name": name, "namespace": here.namespace}
    try:
        here.api.client.create(kind.path(here.namespace), resource)
    except ApiError:
        return None
    return example.about, kind.path(here.namespace, name)


def _not_allowed(here: World, path: str) -> Iterator[str]:
    """Which edits the API server refuses, with its words."""
    unrelated = UNRELATED[PIPELINE if PIPELINE.plural in path else TENANT]
    edits = {
        "a label": ("", {"metadata": {"labels": {"team": "a"}}}),
        "another field": ("", {"spec": unrelated}),
        "our finalizer": ("", {"metadata": {"finalizers": ["rag-operator.dev/data"]}}),
        "its status": ("/status", {"status": {"observedGeneration": 1}}),
        "letting go": ("", {"metadata": {"finalizers": None}}),
    }
    for what, (subresource, patch) in edits.items():
        try:
            here.api.client.call("PATCH", path + subresource, patch, "application/merge-patch+json")
        except ApiError as error:
            yield f"{what}: {error}"


def test_the_operator_says_what_to_mend_makes_nothing_and_goes_on_when_it_is_mended(here: World, database: str) -> None:
    here.apply(pipeline(**OVERLAP), tenant(**LONG), HANDBOOK, here.database_secret(database))
    _install_todays(here.api)
    here.operator(resync_seconds="2")
    said = here.wait_condition("ragpipeline", "support", "Ready", "InvalidSpec")
    assert said["message"].startswith("spec.chunking.overlap: the overlap must be less than half")
    said = here.wait_condition("ragtenant", "acme", "Ready", "InvalidSpec")
    assert said["message"].startswith("spec.displayName: ")
    here.kubectl("label", "ragpipeline,ragtenant", "--all", "team=a")
    assert here.kubectl("get", "deployments,statefulsets,cronjobs,jobs,services", "-o", "name") == ""
    here.apply(pipeline(chunking={"size": 200, "overlap": 50}), tenant(displayName="Acme"))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected", 180)
    assert "422" not in here.logs()


@pytest.mark.parametrize(
    ("broken", "first"), [(OVERLAP, "ragtenant"), (OVERLAP, "ragpipeline"), ({"runtimeVersion": "9.0.0"}, "ragtenant")]
)
def test_data_from_before_a_rule_go_with_their_tenant_after_a_restart(
    here: World, database: str, broken: dict[str, Any], first: str
) -> None:
    before = here.operator()
    policy = {"deletionPolicy": "Delete"}
    here.apply(pipeline(**policy), tenant(**policy), HANDBOOK, here.database_secret(database))
    here.wait_condition("ragtenant", "acme", "DatabaseReady", "AsExpected")
    schema = (here.get("ragtenant", "acme") or {})["status"]["schema"]
    before.stop()
    here.apply(pipeline(**policy, **broken), tenant(**policy, **LONG))
    _install_todays(here.api)
    if first == "ragpipeline":
        here.kubectl("delete", "ragpipeline", "support", "--wait=false")
    here.operator()
    if first == "ragtenant":
        here.wait_condition("ragpipeline", "support", "Ready", "InvalidSpec")
    here.kubectl("delete", "ragtenant", "acme", "--timeout=180s")
    here.kubectl("delete", "ragpipeline", "support", "--timeout=180s")
    with psycopg.connect(database) as admin:
        assert not admin.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchall()
