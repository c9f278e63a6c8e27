from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.fixtures import Kubernetes
from tests.e2e.place import ACME, GLOBEX, PIPELINE, RESTRICTED, Place, handbook, tenant
from tests.install import Tools, alone, install


@pytest.fixture(scope="session")
def quiet(cluster: Kubernetes) -> Iterator[Kubernetes]:
    """The cluster without the operator of a demo that was run on it."""
    with alone(Tools(cluster.kubeconfig, cluster.kubectl_program)):
        yield cluster


@pytest.fixture(scope="session")
def place(quiet: Kubernetes) -> Iterator[Place]:
    """Both resources of two tenants Ready; tenants are applied before what they need."""
    cluster = quiet
    with cluster.namespace("path", RESTRICTED) as namespace:
        here = Place(cluster, namespace)
        options = (f"watchNamespaces={{{namespace}}}", "rbac.aggregateToDefaultRoles=false")
        install(here.tools, *options, namespace=namespace)
        here.apply(tenant("acme"), tenant("globex"))
        here.apply(PIPELINE)
        here.apply(handbook("acme", **ACME), handbook("globex", **GLOBEX))
        for who in ("acme", "globex"):
            here.wait_ready("ragtenant", who)
        here.wait_ready("ragpipeline", "support")
        yield here
        for who in ("acme", "globex"):
            here.kubectl("delete", "ragtenant", who, "--ignore-not-found", "--timeout=300s")
        here.kubectl("delete", "ragpipeline", "support", "--ignore-not-found", "--timeout=300s")
