"""An operator of two named namespaces, under just the roles that the chart gives it there."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import yaml

from rag_operator.api import GROUP
from tests.support.operator import World, eventually
from tests.support.rights import CHART

ACCOUNT = "scoped"
ROLE = "rag-operator"
"""Name of the chart's Role and RoleBinding in each of the namespaces."""


def under_the_charts_roles(here: World, there: World) -> Path:
    """A kubeconfig of an account that may do what the chart gives for both namespaces."""
    values = f"watchNamespaces={{{here.namespace},{there.namespace}}},serviceAccount.name={ACCOUNT},crds.install=false"
    text = here.api.helm("template", ROLE, str(CHART), "-n", here.namespace, "--set", values)
    kinds = ("ServiceAccount", "Role", "RoleBinding")
    documents = [one for one in yaml.safe_load_all(text) if one and one["kind"] in kinds]
    assert {one["kind"] for one in documents} == set(kinds)
    here.api.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(documents))
    lease = {"group": "coordination.k8s.io", "resource": "leases", "name": ROLE, "namespace": here.namespace}
    eventually(partial(_may, here, verb="update", **lease), "it may lead")
    for world in (here, there):
        eventually(partial(may_list, here, world), f"it may list tenants in {world.namespace}")
    return here.api.as_service_account(here.namespace, ACCOUNT, here.folder)


def may_list(here: World, world: World) -> bool:
    """Whether the account of `here` may list tenants in that namespace."""
    return _may(here, verb="list", group=GROUP, resource="ragtenants", namespace=world.namespace)


def _may(here: World, **asked: str) -> bool:
    return here.api.may(f"system:serviceaccount:{here.namespace}:{ACCOUNT}", **asked)
