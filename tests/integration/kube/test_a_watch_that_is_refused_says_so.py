"""A8: a watch that the API server refuses is an error of its own kind, which whoever watches waits out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rag_operator.kube.client import Api
from rag_operator.kube.errors import ApiUnavailableError, RefusedError
from rag_operator.kube.kinds import DEPLOYMENT
from tests.cluster.fixtures import Kubernetes

pytestmark = pytest.mark.integration


async def _watched(port: Api, namespace: str, version: str = "") -> None:
    async for _ in port.watch(DEPLOYMENT, namespace, "", version):
        pass


@pytest.fixture
def stranger(api: Kubernetes, tmp_path: Path) -> Iterator[Path]:
    """A kubeconfig of somebody who may do nothing."""
    with api.namespace("strangers") as namespace:
        api.kubectl("create", "serviceaccount", "stranger", "-n", namespace)
        yield api.as_service_account(namespace, "stranger", tmp_path)


@pytest.fixture
def unknown(stranger: Path) -> Path:
    """A kubeconfig whose token nobody has issued."""
    known = yaml.safe_load(stranger.read_text())
    known["users"][0]["user"] = {"token": "nobody's"}
    stranger.write_text(yaml.safe_dump(known))
    return stranger


async def _refused(kubeconfig: Path, how: type[Exception], words: str, version: str = "") -> None:
    port = await Api.connect(str(kubeconfig))
    try:
        with pytest.raises(how, match=words):
            async for _ in port.watch(DEPLOYMENT, "default", "", version):
                pass
    finally:
        await port.close()


async def test_without_the_right_to(stranger: Path) -> None:
    await _refused(stranger, RefusedError, "cannot watch")


async def test_with_a_token_that_is_unknown(unknown: Path) -> None:
    await _refused(unknown, ApiUnavailableError, "answered 401")


async def test_from_a_version_that_is_none(api: Kubernetes) -> None:
    await _refused(api.kubeconfig, ApiUnavailableError, "nonsense", "nonsense")
