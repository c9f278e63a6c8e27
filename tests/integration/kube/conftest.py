from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rag_operator.kube.client import Api
from tests.cluster.fixtures import Kubernetes


@pytest.fixture
async def port(api: Kubernetes) -> AsyncIterator[Api]:
    """The operator's own way to the API server, as an administrator."""
    made = await Api.connect(str(api.kubeconfig))
    yield made
    await made.close()
