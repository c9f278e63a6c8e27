from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.fixtures import Kubernetes
from tests.install import Tools, alone


@pytest.fixture(scope="session")
def quiet(cluster: Kubernetes) -> Iterator[Kubernetes]:
    """The cluster without the operator of a demo that was run on it."""
    with alone(Tools(cluster.kubeconfig, cluster.kubectl_program)):
        yield cluster
