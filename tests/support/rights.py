"""What the chart lets the operator do, given to accounts of tests: a right that it lacks is missed by them too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from rag_operator.kube.errors import NOT_KNOWN_YET
from rag_operator.kube.kinds import LEASE, PIPELINE, SERVICE_ACCOUNT
from tests.cluster.audit import Audit
from tests.cluster.fixtures import Kubernetes
from tests.cluster.processes import wait_until

Object = dict[str, Any]
Right = tuple[str, str, str]
"""Group, resource, verb."""
CHART = Path(__file__).parents[2] / "charts" / "rag-operator"
HOME = "default"
"""Namespace of the operators' service accounts and Leases: a test may delete its own namespace."""
GROUP = "rbac.authorization.k8s.io"
RBAC = f"/apis/{GROUP}/v1"
CREATED, BAD, FORBIDDEN = 201, 400, 403
GOING = ("because it is being terminated", "while custom resource definition is terminating")
"""What is said of a namespace and of a kind that are being deleted: nothing new is made there, whoever asks."""
CHILDREN = "integration/operator/test_two_resources_become_all_their_children.py"
ACCOUNTS = f"{CHILDREN}::test_an_account_that_is_no_longer_asked_for_loses_its_role_and_stays"
ANOTHER_CACHE = f"{CHILDREN}::test_a_redis_of_one_s_own_takes_the_managed_one_s_place_and_gives_it_back"
MONITORS = (
    "integration/optional/test_monitors_are_made_where_the_cluster_has_them.py"
    "::test_they_come_with_the_kinds_and_go_with_the_spec_and_a_kind_that_goes_is_no_error"
)
SCALERS = (
    "integration/optional/test_pods_are_scaled_by_what_the_cluster_has.py"
    "::test_the_number_never_falls_while_it_goes_from_hand_to_hand"
)
OPTIONAL_KINDS = {
    ("monitoring.coreos.com", "servicemonitors"): MONITORS,
    ("monitoring.coreos.com", "prometheusrules"): MONITORS,
    ("keda.sh", "scaledobjects"): SCALERS,
}
SHOWN_BY: dict[Right, str] = {
    **{(*kind, verb): test for kind, test in OPTIONAL_KINDS.items() for verb in ("get", "create", "patch", "delete")},
    ("", "namespaces", "get"): (
        "integration/operator/test_deletion_closes_answers_and_hangs_nowhere.py"
        "::test_a_database_gone_for_good_with_its_secret_does_not_hold_a_terminating_namespace"
    ),
    ("networking.k8s.io", "networkpolicies", "list"): (
        "integration/operator/test_tenants_in_other_namespaces.py"
        "::test_all_that_is_a_guests_is_made_beside_it_kept_and_left_alone_when_idle"
    ),
    ("networking.k8s.io", "networkpolicies", "delete"): (
        f"{CHILDREN}::test_network_policies_come_and_go_with_their_switch"
    ),
    ("", "secrets", "patch"): f"{CHILDREN}::test_drift_of_any_child_is_corrected",
    ("", "serviceaccounts", "create"): ACCOUNTS,
    ("", "serviceaccounts", "patch"): ACCOUNTS,
    ("", "services", "delete"): ANOTHER_CACHE,
    ("apps", "deployments", "delete"): ANOTHER_CACHE,
    ("policy", "poddisruptionbudgets", "delete"): f"{CHILDREN}::test_a_disruption_budget_goes_with_the_second_replica",
}
"""Rights of the chart that the end-to-end tests have no use for; each by a test, from the folder `tests`, that has."""

OWNERS = (
    "integration/operator/test_owners_come_back_where_admission_guards_them.py"
    "::test_they_do_for_every_kind_that_the_operator_deletes_none_of"
)
ASKED_FOR: dict[Right, str] = {
    ("", "secrets", "delete"): OWNERS,
    ("", "serviceaccounts", "delete"): OWNERS,
    ("", "persistentvolumeclaims", "delete"): OWNERS,
    ("apps", "statefulsets", "delete"): OWNERS,
}
"""Rights that nobody uses: admission (OwnerReferencesPermissionEnforcement) wants them of whoever changes owners. Each
by a test, which is refused without it."""


def refused(audit: Audit, after: int, user: str) -> list[str]:
    """What the user was refused for want of a right."""
    entries = [one for one in audit.entries(after, user=user) if one.code == FORBIDDEN]
    return sorted({one.message for one in entries if not any(said in one.message for said in (*GOING, NOT_KNOWN_YET))})


def used(audit: Audit, after: int, user: str) -> set[Right]:
    """What the user was let do. An apply that makes an object needs two rights, and is logged as `patch`."""
    done = [one for one in audit.entries(after, user=user) if one.code < BAD and not one.subresource]
    made = {(one.group, one.resource, "create") for one in done if one.code == CREATED}
    return made | {(one.group, one.resource, one.verb) for one in done}


@contextmanager
def account(api: Kubernetes, name: str) -> Iterator[str]:
    """A service account under the chart's roles for the whole cluster, with a Lease of its name; its user's name."""
    client, role = api.client, _roles(api)["ClusterRole"]
    client.ensure(f"{RBAC}/clusterroles", role)
    client.create(SERVICE_ACCOUNT.path(HOME), {"metadata": {"name": name}})
    client.create(
        f"{RBAC}/clusterrolebindings", _binding("ClusterRole", role["metadata"]["name"], name, {"name": name})
    )
    _in_force(api, name, {"group": PIPELINE.group, "resource": PIPELINE.plural, "verb": "list"})
    let_lead(api, name, name)
    try:
        yield _user(name)
    finally:
        client.delete(f"{RBAC}/clusterrolebindings/{name}")
        client.delete(SERVICE_ACCOUNT.path(HOME, name))


def let_lead(api: Kubernetes, account: str, lease: str) -> None:
    """The chart's Role for a Lease, of this name; it goes with the account."""
    uid = api.client.get(SERVICE_ACCOUNT.path(HOME, account))["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "ServiceAccount", "name": account, "uid": uid}
    meta = {"name": lease, "ownerReferences": [owner]}
    rules = [rule | {key: [lease] for key in rule if key == "resourceNames"} for rule in _roles(api)["Role"]["rules"]]
    api.client.ensure(f"{RBAC}/namespaces/{HOME}/roles", {"metadata": meta, "rules": rules})
    api.client.ensure(f"{RBAC}/namespaces/{HOME}/rolebindings", _binding("Role", lease, account, meta))
    asked = {"group": LEASE.group, "resource": LEASE.plural, "verb": "update", "namespace": HOME, "name": lease}
    _in_force(api, account, asked)


def _user(account: str) -> str:
    return f"system:serviceaccount:{HOME}:{account}"


def _in_force(api: Kubernetes, account: str, asked: Object) -> None:
    """Wait until the API server's authorizer has seen the roles: an operator is refused nothing for being early."""
    review = {"spec": {"user": _user(account), "resourceAttributes": asked}}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert wait_until(lambda: bool(api.client.create(path, review)["status"]["allowed"]), 60.0), asked


def _binding(kind: str, role: str, account: str, meta: Object) -> Object:
    subject = {"kind": "ServiceAccount", "name": account, "namespace": HOME}
    return {"metadata": meta, "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role}, "subjects": [subject]}


@cache
def _roles(api: Kubernetes) -> dict[str, Object]:
    """By kind, those that the chart binds the operator's account to."""
    documents = [one for one in yaml.safe_load_all(api.helm("template", "rag-operator", str(CHART))) if one]
    bound = [(one["roleRef"]["kind"], one["roleRef"]["name"]) for one in documents if "roleRef" in one]
    roles = {one["kind"]: one for one in documents if (one["kind"], one["metadata"]["name"]) in bound}
    assert sorted(kind for kind, _ in bound) == sorted(roles) == ["ClusterRole", "Role"]
    return roles
