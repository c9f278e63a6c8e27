from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rag_runtime.cli import main
from rag_runtime.configuration import UnusableConfigurationError, validate

GOOD: dict[str, Any] = {
    "contractVersion": 1,
    "kind": "Ingest",
    "pipeline": "rag/support",
    "tenant": "rag/acme",
    "tenantId": "00000000-0000-0000-0000-000000000001",
    "database": {"schema": "rag_x"},
    "tenantSchema": "rag_acme_x",
    "sources": [{"name": "docs", "source": {"kind": "Directory", "root": "/docs"}}],
    "shape": {"profile": {}},
}


def _with(**changes: Any) -> dict[str, Any]:
    return GOOD | changes


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (_with(contractVersion=2), "contractVersion: this runtime knows version 1"),
        (_with(kind="Bake"), "kind: expected one of Ingest, Serve"),
        (_with(sorces=[]), "sorces: Extra inputs are not permitted"),
        (_with(shape={"profile": {"dimensions": "many"}}), "shape.profile.dimensions: "),
        (_with(shape={"profile": {}, "chunking": {"size": 300}}), "shape.chunking.size: 300 tokens are more than"),
        (_with(sources=GOOD["sources"] * 2), "sources: the name 'docs' is used twice"),
        (_with(profiles={"wrong": {}}), "profiles.wrong: its identity is"),
        ({k: v for k, v in GOOD.items() if k != "tenantSchema"}, "tenantSchema: Field required"),
    ],
)
def test_the_sentence_begins_with_the_field(document: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UnusableConfigurationError, match="^" + sentence.replace("(", r"\(")):
        validate(document)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(UnusableConfigurationError) as error:
        validate(_with(tenant=1, leaseSeconds="x"))
    assert len(str(error.value).splitlines()) == 2


def test_check_says_that_a_document_is_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / "ingest.yaml"
    document.write_text(json.dumps(GOOD))
    assert main(["check", "--config", str(document)]) == 0
    assert "a valid Ingest document" in capsys.readouterr().out


def test_what_is_wrong_is_logged_as_json_and_the_code_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / "ingest.yaml"
    for content in ("{", "- a list", json.dumps(_with(tenant=None))):
        document.write_text(content)
        assert main(["ingest", "--config", str(document)]) == 2
        line = json.loads(capsys.readouterr().err.splitlines()[-1])
        assert line["level"] == "error"
        assert line["message"].startswith(("--config: ", "tenant: "))
    assert main(["ingest", "--config", str(tmp_path / "missing")]) == 2


def test_ingest_and_serve_refuse_each_others_documents(tmp_path: Path) -> None:
    document = tmp_path / "ingest.yaml"
    document.write_text(json.dumps(GOOD))
    assert main(["serve", "--config", str(document)]) == 2


def test_missing_credentials_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / "ingest.yaml"
    database = {"schema": "rag_x", "credentials": str(tmp_path)}
    document.write_text(json.dumps(_with(database=database)))
    assert main(["ingest", "--config", str(document)]) == 2
    assert "database.credentials: host in " in capsys.readouterr().err


def test_dimensions_that_the_built_in_model_lacks_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "ingest.yaml"
    document.write_text(json.dumps(_with(shape={"profile": {"dimensions": 1536}})))
    assert main(["ingest", "--config", str(document)]) == 2
    assert "shape.profile: " in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.startswith("rag-runtime ")
