from __future__ import annotations

from dataclasses import replace

import pytest

from rag_operator.build.common import Release, runtime_image
from rag_operator.build.runtime import Runtime, outdated, refusal, version_of, wanted
from rag_runtime.contract.catalog import CATALOG_VERSION
from rag_runtime.contract.config import CONTRACT_VERSION
from rag_runtime.contract.releases import LINES, Line, line_of, minor_of
from rag_runtime.contract.tenant import TENANT_VERSION
from tests.unit.build.samples import RELEASE, pipeline

MIRRORED = replace(RELEASE, runtime_image="registry.example:5000/mirror/runtime:0.1.2")
DIGEST = replace(RELEASE, runtime_image=f"registry.example:5000/runtime@sha256:{'a' * 64}")
FUTURE = replace(RELEASE, version="0.3.1", runtime_image="rag-operator/runtime:0.3.1")
LATER = (Line((0, 1), 0, 0, 0), Line((0, 2), CONTRACT_VERSION, 0, 0), Line((0, 3), CONTRACT_VERSION, 1, 1))


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("runtime:0.1.0", "0.1.0"),
        ("registry.example:5000/runtime", ""),
        ("registry.example:5000/runtime:dev", "dev"),
        ("runtime:0.1.0@sha256:abc", ""),
    ],
)
def test_the_version_of_an_image_is_its_tag(image: str, version: str) -> None:
    assert version_of(image) == version


def test_a_pin_changes_the_tag_and_keeps_the_mirror() -> None:
    assert wanted("", "0.1.0", MIRRORED) == Runtime("registry.example:5000/mirror/runtime:0.1.0", "0.1.0")


def test_without_a_pin_pods_run_what_the_operator_was_released_with() -> None:
    assert wanted("", "", MIRRORED) == Runtime(MIRRORED.runtime_image, "0.1.2")
    assert wanted("", "", DIGEST) == Runtime(DIGEST.runtime_image, RELEASE.version)


def test_an_image_of_the_pipelines_own_goes_before_all_else() -> None:
    assert wanted("mine:7", "", MIRRORED) == Runtime("mine:7", "")


@pytest.mark.parametrize(("own", "runs"), [("", "runtime:0.0.9"), ("mine:7", "mine:7")])
def test_builders_take_the_image_that_the_pipeline_runs(own: str, runs: str) -> None:
    given = pipeline({"database": {"managed": {}}, "query": {"image": own}})
    assert runtime_image(given, replace(RELEASE, runtime_image="runtime:0.0.9")) == runs


@pytest.mark.parametrize(
    ("pin", "release", "says"),
    [
        ("0.1.0", DIGEST, "images.runtime.digest"),
        ("0.2.0", RELEASE, "newer than the operator (0.1.0): upgrade the operator first"),
        ("1.0.0", RELEASE, "newer than the operator"),
        ("0.0.9", RELEASE, "choose a version of 0.1, or leave it empty"),
    ],
)
def test_a_version_that_can_not_be_run_is_refused_with_the_mend(pin: str, release: Release, says: str) -> None:
    assert says in refusal(pin, release)
    assert refusal(pin, release).startswith("spec.runtimeVersion: ")


@pytest.mark.parametrize("pin", ["0.1.0", "0.1.9", "0.1.0-rc.1"])
def test_all_versions_of_this_line_can_be_run(pin: str) -> None:
    assert refusal(pin, RELEASE) == ""


def test_the_line_before_can_be_run_while_its_document_is_written_and_its_schemas_are_one_behind() -> None:
    assert refusal("0.2.5", FUTURE, LATER) == ""
    assert "choose a version of 0.2 or 0.3" in refusal("0.1.0", FUTURE, LATER)


def test_pods_too_old_to_be_told_anything_do_not_wait_and_newer_ones_do() -> None:
    assert outdated("0.1.7", LATER)
    assert not any(outdated(version, LATER) for version in ("0.2.0", "0.3.9", "0.4.0", "dev", "", "?"))


def test_this_release_has_its_line() -> None:
    assert LINES[-1] == Line(minor_of(RELEASE.version) or (0, 0), CONTRACT_VERSION, CATALOG_VERSION, TENANT_VERSION)
    assert line_of(RELEASE.version) is LINES[-1]
    assert [line.minor for line in LINES] == sorted(line.minor for line in LINES)
