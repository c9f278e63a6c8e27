from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_operator.api.__main__ import ROOT, generated, main
from rag_operator.api.crd import KINDS, definition, to_yaml
from rag_operator.api.pipeline import RagPipeline, RagPipelineSpec
from rag_operator.api.schema import resource_schema
from rag_operator.api.tenant import RagTenant

SPECS = [resource_schema(RagPipeline), resource_schema(RagTenant)]
UNION_MEMBERS = {"secretRef", "managed", "builtIn", "endpoint", "models", "replicas", "configMapRef", "volume", "http"}


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}[]")


def test_the_checked_in_files_are_what_the_models_give() -> None:
    assert main(["check", "--root", str(ROOT)]) == 0


def test_drift_is_told_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--root", str(tmp_path)]) == 1
    assert main(["write", "--root", str(tmp_path)]) == 0
    assert main(["check", "--root", str(tmp_path)]) == 0
    (tmp_path / "crds" / "ragtenants.yaml").write_text("")
    assert main(["check", "--root", str(tmp_path)]) == 1
    assert "crds/ragtenants.yaml: differs" in capsys.readouterr().err


@pytest.mark.parametrize("schema", SPECS)
def test_every_node_has_one_type_and_every_field_a_meaning(schema: dict[str, Any]) -> None:
    for path, node in nodes(schema):
        assert "type" in node or node.get("x-kubernetes-int-or-string"), path
        assert not {"$ref", "anyOf", "oneOf", "allOf", "nullable", "title"} & node.keys(), path
        assert node.get("description") or path.endswith("[]") or ".metadata" in path or not path, path


@pytest.mark.parametrize("schema", SPECS)
def test_lists_texts_and_maps_are_bounded(schema: dict[str, Any]) -> None:
    for path, node in nodes(schema["properties"]["spec"]):
        if node.get("type") == "array":
            assert "maxItems" in node, path
            assert "x-kubernetes-list-type" in node, path
        if node.get("type") == "string" and "enum" not in node:
            assert "maxLength" in node, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path


@pytest.mark.parametrize("schema", SPECS)
def test_a_rule_whose_object_any_edit_changes_looks_at_what_it_reads_alone(schema: dict[str, Any]) -> None:
    rules = [rule for node in (schema, schema["properties"]["spec"]) for rule in node["x-kubernetes-validations"]]
    assert any(rule.get("optionalOldSelf") for rule in rules)
    for rule in rules:
        assert "oldSelf" in rule["rule"], rule["message"]


@pytest.mark.parametrize("schema", SPECS)
def test_no_default_picks_a_member_of_a_union(schema: dict[str, Any]) -> None:
    for path, node in nodes(schema["properties"]["spec"]):
        if path.rsplit(".", 1)[-1] in UNION_MEMBERS:
            assert "default" not in node, path


def test_what_the_api_server_fills_in_is_what_the_models_assume() -> None:
    def fill(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
        for name, field in schema.get("properties", {}).items():
            if name not in value and "default" in field:
                value[name] = {} if field["default"] == {} else field["default"]
            if isinstance(value.get(name), dict):
                fill(field, value[name])
        return value

    written = fill(SPECS[0]["properties"]["spec"], {"database": {"managed": {}}})
    assert RagPipelineSpec.model_validate(written) == RagPipelineSpec.model_validate({"database": {"managed": {}}})


def test_the_chart_keeps_the_same_definitions_when_it_goes() -> None:
    files = generated()
    for model in KINDS:
        name = f"{model.__name__.lower()}s.yaml"
        template = files[f"charts/rag-operator/templates/crds/{name}"]
        lines = template.splitlines()
        assert (lines[0], lines[-1]) == ("{{- if .Values.crds.install }}", "{{- end }}")
        chart = yaml.safe_load("\n".join(lines[1:-1]))
        assert chart["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
        assert chart == yaml.safe_load(files[f"crds/{name}"]) == definition(model)


def test_yaml_is_the_same_every_time() -> None:
    assert to_yaml(definition(RagPipeline)) == to_yaml(definition(RagPipeline))


def test_the_reference_names_every_field() -> None:
    page = generated()["docs/api-reference.md"]
    for schema in SPECS:
        for part in ("spec", "status"):
            for path, _ in nodes(schema["properties"][part], part):
                assert path == part or path.endswith("[]") or f"`{path}`" in page, path
