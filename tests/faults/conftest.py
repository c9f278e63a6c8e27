from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cluster.fixtures import Kubernetes
from tests.faults.harness import Stage, stage
from tests.integration.operator.conftest import crds
from tests.support import postgres
from tests.support.operator import world

__all__ = ["crds"]
Stages = Callable[[], AbstractContextManager[Stage]]


@pytest.fixture
def stages(api: Kubernetes, crds: None, postgres_server: postgres.Server, redis_url: str, tmp_path: Path) -> Stages:
    """Makes stages: each a namespace, a database and wires of its own."""

    @contextmanager
    def made() -> Iterator[Stage]:
        name = f"f_{uuid4().hex[:12]}"
        folder = tmp_path / name
        folder.mkdir()
        dsn = postgres_server.create_database(name)
        try:
            with world(api, folder) as here, stage(here, dsn, redis_url, folder) as on:
                yield on
        finally:
            postgres_server.drop_database(name)

    return made
