"""An API server of this folder's own: kinds come and go here, and operators elsewhere would notice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.fixtures import Kubernetes, without_nodes
from tests.cluster.optional_kinds import Source, definitions
from tests.support.operator import World, world

CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture(scope="session")
def own_api(testrun: str) -> Iterator[Kubernetes]:
    with without_nodes(f"{testrun}-optional") as made:
        made.install_kinds(CRDS)
        yield made


@pytest.fixture
def here(own_api: Kubernetes, tmp_path: Path) -> Iterator[World]:
    """A namespace of this test's own, without an operator yet."""
    with world(own_api, tmp_path) as made:
        yield made


def install(api: Kubernetes, source: Source) -> None:
    """The kinds of a project, as its users install them."""
    for path in definitions(source):
        api.install_kinds(path)


def remove(api: Kubernetes, source: Source) -> None:
    """Take them away, with every object of theirs."""
    for path in definitions(source):
        api.kubectl("delete", "--ignore-not-found", "--timeout=180s", "-f", str(path), deadline=200)
