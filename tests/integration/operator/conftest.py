from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.fixtures import Kubernetes
from tests.support import postgres
from tests.support.operator import World, beside, world

CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture(scope="session")
def crds(api: Kubernetes) -> None:
    """Our kinds on the API server."""
    api.install_kinds(CRDS)


@pytest.fixture
def here(api: Kubernetes, crds: None, tmp_path: Path) -> Iterator[World]:
    """A namespace of this test's own, without an operator yet."""
    with world(api, tmp_path) as made:
        yield made


@pytest.fixture
def own_server() -> Iterator[postgres.Server]:
    """A Postgres that this test may stop."""
    with postgres.running() as server:
        yield server


@pytest.fixture
def there(here: World) -> Iterator[World]:
    """Another namespace, for tenants of a pipeline in the first."""
    with beside(here) as made:
        yield made
