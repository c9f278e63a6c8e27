"""Volumes for claims: folders of this machine, as `local` volumes, so that fsGroup works as on a real cluster.

A process of its own, started by `up`. The controller manager's built-in host-path provisioner would do, did it not
make folders that only root may enter.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from tests.cluster.following import follow
from tests.cluster.kube_api import KubeApi

NAME = "local.rag-operator.dev/folder"
STORAGE_CLASS = "standard"
_CLAIMS, _VOLUMES = "/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


def needs_volume(claim: dict[str, Any]) -> bool:
    """Whether the claim is ours, waits, and its pod's node is chosen."""
    spec, metadata = claim["spec"], claim["metadata"]
    waits = not spec.get("volumeName") and "deletionTimestamp" not in metadata
    return waits and spec.get("storageClassName") == STORAGE_CLASS and _SELECTED_NODE in metadata.get("annotations", {})


def volume_for(claim: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The volume for a claim, bound to it."""
    metadata = claim["metadata"]
    reference = {key: metadata[key] for key in ("name", "namespace", "uid")}
    node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [metadata["annotations"][_SELECTED_NODE]]}
    name = f"pvc-{metadata['uid']}"
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_PROVISIONED_BY: NAME}},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": STORAGE_CLASS,
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **reference},
            "local": {"path": str(folder / name)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [node]}]}},
        },
    }


def is_done_with(volume: dict[str, Any]) -> bool:
    """Whether the volume is ours and its claim is gone."""
    ours = volume["metadata"].get("annotations", {}).get(_PROVISIONED_BY) == NAME
    policy = volume["spec"]["persistentVolumeReclaimPolicy"]
    return bool(ours and volume.get("status", {}).get("phase") == "Released" and policy == "Delete")


def reconcile(api: KubeApi, folder: Path) -> None:
    """Make the volumes that claims wait for; delete those whose claim is gone."""
    for claim in api.get(_CLAIMS)["items"]:
        if needs_volume(claim):
            volume = volume_for(claim, folder)
            path = Path(volume["spec"]["local"]["path"])
            path.mkdir(exist_ok=True)
            path.chmod(0o777)  # whatever mkdir's umask says: pods are seldom root
            api.ensure(_VOLUMES, volume)
    for volume in api.get(_VOLUMES)["items"]:
        if is_done_with(volume):
            shutil.rmtree(volume["spec"]["local"]["path"], ignore_errors=True)
            api.delete(f"{_VOLUMES}/{volume['metadata']['name']}")


def main(folder: Path, kubeconfig: Path) -> None:
    """Reconcile whenever a claim or a volume changes, until ended."""
    api = KubeApi(kubeconfig)
    follow(api, (_CLAIMS, _VOLUMES), lambda: reconcile(api, folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
