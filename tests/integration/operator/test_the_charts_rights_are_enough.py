"""A12: all tests of a whole operator run under the chart's roles, and fail where a right is missing there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rag_operator.kube.kinds import SECRET
from tests.cluster.fixtures import Kubernetes
from tests.cluster.kube_api import ApiError, KubeApi
from tests.support.operator import World, world
from tests.support.rights import ASKED_FOR, SHOWN_BY

pytestmark = pytest.mark.integration
TESTS = Path(__file__).parents[2]


def test_what_the_chart_does_not_allow_is_refused_and_told_when_a_test_ends(
    api: Kubernetes, crds: None, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match='cannot list resource "secrets"'), world(api, tmp_path) as here:
        account = KubeApi(here.kubeconfig)
        with pytest.raises(ApiError, match="cannot list"):
            account.get(SECRET.path(here.namespace))


def test_a_namespace_that_is_being_deleted_and_takes_nothing_new_lacks_no_right(here: World) -> None:
    hold = {"metadata": {"name": "held", "finalizers": ["example.dev/held"]}}
    here.api.client.create(SECRET.path(here.namespace), hold)
    here.kubectl("delete", "namespace", here.namespace, "--wait=false")
    with pytest.raises(ApiError, match="being terminated"):
        KubeApi(here.kubeconfig).create(SECRET.path(here.namespace), {"metadata": {"name": "new"}})
    here.kubectl("patch", "secret", "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')


@pytest.mark.parametrize("test", sorted({*SHOWN_BY.values(), *ASKED_FOR.values()}))
def test_who_shows_a_right_in_use_is_there(test: str) -> None:
    path, _, name = test.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (TESTS / path).read_text(), re.MULTILINE)
