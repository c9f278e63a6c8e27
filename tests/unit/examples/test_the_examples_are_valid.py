"""The examples as files: what kubectl would apply is taken by our models, and names what is there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_operator.api.parse import parse_pipeline, parse_tenant
from tests.cluster import binaries

EXAMPLES = Path(__file__).parents[3] / "examples"
QUICKSTART = EXAMPLES / "quickstart"
Object = dict[str, Any]


def of_kind(objects: list[Object], kind: str) -> dict[str, Object]:
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


@pytest.fixture(scope="module")
def quickstart() -> list[Object]:
    binaries.ensure((binaries.KUBERNETES,))
    command = [binaries.program("kubectl"), "kustomize", str(QUICKSTART)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return list(yaml.safe_load_all(done.stdout))


def test_the_quickstart_is_one_pipeline_and_two_tenants_that_need_no_account(quickstart: list[Object]) -> None:
    (pipeline,) = (parse_pipeline(one) for one in of_kind(quickstart, "RagPipeline").values())
    assert pipeline.spec.database.managed is not None
    assert pipeline.spec.embedding.endpoint is None
    assert pipeline.spec.llm.models is None
    tenants = of_kind(quickstart, "RagTenant")
    assert set(tenants) == {"docs", "manpages"}
    for tenant in map(parse_tenant, tenants.values()):
        assert tenant.spec.pipeline_ref.name == pipeline.metadata.name
        assert tenant.metadata.namespace == pipeline.metadata.namespace == "rag"


def test_every_source_of_the_quickstart_is_in_it(quickstart: list[Object]) -> None:
    for tenant in map(parse_tenant, of_kind(quickstart, "RagTenant").values()):
        for source in tenant.spec.sources:
            if source.config_map_ref:
                assert source.config_map_ref.name in of_kind(quickstart, "ConfigMap")
            else:
                assert source.volume is not None
                assert source.volume.claim_ref.name in of_kind(quickstart, "PersistentVolumeClaim")


def test_every_document_is_in_the_config_map(quickstart: list[Object]) -> None:
    data = of_kind(quickstart, "ConfigMap")["rag-operator-docs"]["data"]
    assert data == {path.name: path.read_text() for path in sorted((QUICKSTART / "docs").glob("*.md"))}
    assert 5 <= len(data) <= 10


def test_the_production_example_is_taken_by_our_models() -> None:
    folder = EXAMPLES / "production"
    pipeline = parse_pipeline(yaml.safe_load((folder / "pipeline.yaml").read_text()))
    tenant = parse_tenant(yaml.safe_load((folder / "tenant.yaml").read_text()))
    database = yaml.safe_load((folder / "database.yaml").read_text())
    assert pipeline.spec.database.secret_ref is not None
    assert pipeline.spec.database.secret_ref.name == f"{database['metadata']['name']}-app"
    assert tenant.spec.pipeline_ref.name == pipeline.metadata.name
    (role,) = database["spec"]["managed"]["roles"]
    assert role["name"] == database["spec"]["bootstrap"]["initdb"]["owner"]
    assert role["createrole"] is True
