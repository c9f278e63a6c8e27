"""What holds for every manifest, whatever it is: owner, labels, names, secrecy, pod security."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import Any

import pytest

from rag_operator.api import names
from rag_operator.build.common import Manifest
from tests.unit.build.samples import CACHE_PASSWORD, SECRETS, all_manifests, pod_template

MANIFESTS = all_manifests()
PODS = {about: found for about, manifest in MANIFESTS.items() if (found := pod_template(manifest))}
every_manifest = pytest.mark.parametrize("manifest", MANIFESTS.values(), ids=MANIFESTS.keys())
every_pod = pytest.mark.parametrize("template", PODS.values(), ids=PODS.keys())


def containers(template: Manifest) -> list[dict[str, Any]]:
    return [*template["spec"].get("initContainers", ()), *template["spec"]["containers"]]


@every_manifest
def test_a_child_has_one_controlling_owner(manifest: Manifest) -> None:
    owners = manifest["metadata"].get("ownerReferences")
    if manifest["kind"] == "PersistentVolumeClaim" and owners is None:
        return  # under Retain, see the tests of the managed Postgres
    (owner,) = owners
    assert owner["kind"] in {"RagPipeline", "RagTenant"}
    assert owner["apiVersion"] == "rag-operator.dev/v1alpha1"
    assert owner["controller"] is True
    assert owner["blockOwnerDeletion"] is True
    assert owner["uid"].startswith("uid-")


@every_manifest
def test_a_child_has_our_labels_and_the_owners_namespace(manifest: Manifest) -> None:
    metadata = manifest["metadata"]
    labels = metadata["labels"]
    assert metadata["namespace"] == ("sales" if names.LABEL_PIPELINE_NAMESPACE in labels else "rag")
    assert labels[names.LABEL_MANAGED_BY] == names.MANAGED_BY
    assert labels[names.LABEL_PIPELINE]
    owner = (metadata.get("ownerReferences") or [{"kind": "RagPipeline"}])[0]
    assert (names.LABEL_TENANT in labels) == (owner["kind"] == "RagTenant")
    assert all(re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", value) for value in labels.values())


@every_manifest
def test_annotations_of_other_tools_are_not_copied(manifest: Manifest) -> None:
    text = json.dumps(manifest)
    assert "argocd.argoproj.io" not in text
    assert "kubectl.kubernetes.io" not in text


@every_manifest
def test_names_fit_their_kind(manifest: Manifest) -> None:
    limits = {"CronJob": 52, "StatefulSet": 52, "Service": 63, "Deployment": 63, "Job": 63}
    name = manifest["metadata"]["name"]
    assert len(name) <= limits.get(manifest["kind"], 253)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", name)


@every_manifest
def test_no_secret_value_is_outside_a_secret(manifest: Manifest) -> None:
    if manifest["kind"] == "Secret":
        return
    text = json.dumps(manifest)
    for value in (*SECRETS, "s3cret%2Fcache", b64encode(CACHE_PASSWORD.encode()).decode()):
        assert value not in text


@every_manifest
def test_a_manifest_is_plain_data(manifest: Manifest) -> None:
    """Enums and other subclasses of str would be taken by JSON and refused by YAML."""

    def check(value: object) -> None:
        assert type(value) in {dict, list, str, int, bool}, f"{value!r} is a {type(value)}"
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            check(inner)

    check(manifest)


@every_pod
def test_a_pod_keeps_the_restricted_standard(template: Manifest) -> None:
    spec = template["spec"]
    context = spec["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & spec.keys()
    for container in containers(template):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["readOnlyRootFilesystem"] is True
        assert not any("hostPort" in port for port in container.get("ports", ()))
    allowed = {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}
    assert all(volume.keys() - {"name"} <= allowed for volume in spec["volumes"])


@every_pod
def test_a_pod_has_no_token_no_service_variables_and_bounds(template: Manifest) -> None:
    spec = template["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["terminationGracePeriodSeconds"] >= 30
    for container in containers(template):
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        assert container["imagePullPolicy"] == "IfNotPresent"
    assert all("sizeLimit" in volume["emptyDir"] for volume in spec["volumes"] if "emptyDir" in volume)


@every_pod
def test_mounts_and_volumes_match(template: Manifest) -> None:
    volumes = [volume["name"] for volume in template["spec"]["volumes"]]
    mounted = {mount["name"] for container in containers(template) for mount in container["volumeMounts"]}
    assert len(set(volumes)) == len(volumes)
    assert mounted == set(volumes)
    assert all(len(name) <= 63 and "." not in name for name in volumes)
    for container in containers(template):
        paths = [mount["mountPath"] for mount in container["volumeMounts"]]
        assert len(set(paths)) == len(paths)


@every_pod
def test_only_scratch_and_the_databases_own_volume_are_writable(template: Manifest) -> None:
    kinds = {volume["name"]: next(iter(volume.keys() - {"name"})) for volume in template["spec"]["volumes"]}
    for container in containers(template):
        for mount in container["volumeMounts"]:
            own = container["name"] in {"postgres", "set-password"} and mount["name"] == "data"
            assert mount.get("readOnly") or kinds[mount["name"]] == "emptyDir" or own
