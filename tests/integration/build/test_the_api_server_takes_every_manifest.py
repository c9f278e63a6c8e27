"""What the builders make is taken by a real API server, strictly validated, and read back as it was applied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rag_operator.build.common import Manifest
from rag_operator.kube.apply import covers
from rag_operator.kube.kinds import OPTIONAL, kind_of
from tests.cluster.fixtures import Kubernetes
from tests.cluster.kube_api import ApiError
from tests.support.quantities import WRITTEN_AND_READ
from tests.unit.build.samples import all_manifests, pod_template

pytestmark = pytest.mark.integration
# kinds that a cluster may lack have an API server of their own (tests/integration/optional)
MANIFESTS = {about: manifest for about, manifest in all_manifests().items() if kind_of(manifest) not in OPTIONAL}
PODS = {about: found for about, manifest in MANIFESTS.items() if (found := pod_template(manifest))}
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
DRY_RUN = "dryRun=All&fieldManager=test&force=true&fieldValidation=Strict"


@pytest.fixture(scope="module")
def namespace(api: Kubernetes) -> Iterator[str]:
    with api.namespace("build", RESTRICTED) as name:
        for manifest in MANIFESTS.values():
            if manifest["kind"] == "ServiceAccount":  # pods that name it are refused without it
                here = manifest | {"metadata": {"name": manifest["metadata"]["name"]}}
                api.client.create(f"/api/v1/namespaces/{name}/serviceaccounts", here)
        yield name


def apply(api: Kubernetes, namespace: str, manifest: Manifest) -> Any:
    here = manifest | {"metadata": manifest["metadata"] | {"namespace": namespace}}
    path = kind_of(manifest).path(namespace, manifest["metadata"]["name"])
    return api.client.call("PATCH", f"{path}?{DRY_RUN}", here, "application/apply-patch+yaml")


@pytest.mark.parametrize("manifest", MANIFESTS.values(), ids=MANIFESTS.keys())
def test_a_manifest_is_taken_and_reads_back_as_it_was(api: Kubernetes, namespace: str, manifest: Manifest) -> None:
    """A field that came back otherwise would be taken for another's hand, and applied again for ever."""
    live = apply(api, namespace, manifest)
    for part in manifest.keys() - {"metadata"}:
        assert covers(live, {part: manifest[part]}), f"{part} is read back otherwise"
    for part in {"labels", "annotations"} & manifest["metadata"].keys():
        assert covers(live["metadata"][part], manifest["metadata"][part])


@pytest.mark.parametrize("template", PODS.values(), ids=PODS.keys())
def test_pods_are_admitted_where_the_restricted_standard_is_enforced(
    api: Kubernetes, namespace: str, template: Manifest
) -> None:
    pod = template | {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": namespace}}
    assert api.client.create(f"/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict", pod)


def test_the_namespace_would_refuse_a_pod_without_these_settings(api: Kubernetes, namespace: str) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one"},
        "spec": {"containers": [{"name": "a", "image": "b"}]},
    }
    with pytest.raises(ApiError, match="violates PodSecurity"):
        api.client.create(f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)


@pytest.mark.parametrize(("written", "read"), WRITTEN_AND_READ)
def test_quantities_are_read_back_as_they_are_believed_to_be(
    api: Kubernetes, namespace: str, written: str, read: str
) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "q"},
        "spec": {"hard": {"requests.storage": written}},
    }
    made = api.client.create(f"/api/v1/namespaces/{namespace}/resourcequotas?dryRun=All", quota)
    assert made["spec"]["hard"]["requests.storage"] == read
