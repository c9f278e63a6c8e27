"""Archives for `ctr image import` that hold only what a node lacks."""

from __future__ import annotations

import io
import json
import tarfile
from typing import IO, Any

from tests.cluster.images.export import Blob, Blobs

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def needed(blobs: Blobs, manifest: str) -> list[str]:
    """The digests of all blobs of an image, its manifest first."""
    document = json.loads(blobs.path(manifest).read_text())
    return list(dict.fromkeys([manifest, *(part["digest"] for part in [document["config"], *document["layers"]])]))


def complete(blobs: Blobs, manifest: str) -> bool:
    """Whether all blobs of the image are there."""
    return blobs.path(manifest).exists() and all(blobs.path(digest).exists() for digest in needed(blobs, manifest))


def write(blobs: Blobs, manifest: str, reference: str, out: IO[bytes], without: set[str]) -> None:
    """Write the image's archive. Its manifest is always in it: that is what an import starts from."""
    size = blobs.path(manifest).stat().st_size
    entry = {**Blob(manifest, size).descriptor(_MANIFEST), "annotations": {"io.containerd.image.name": reference}}
    with tarfile.open(fileobj=out, mode="w|") as tar:
        _add(tar, "oci-layout", {"imageLayoutVersion": "1.0.0"})
        _add(tar, "index.json", {"schemaVersion": 2, "manifests": [entry]})
        for digest in needed(blobs, manifest):
            if digest not in without or digest == manifest:
                tar.add(blobs.path(digest), f"blobs/{digest.replace(':', '/')}")


def prune(blobs: Blobs, manifests: list[str]) -> None:
    """Delete the blobs that none of these images needs."""
    keep = {digest.removeprefix("sha256:") for manifest in manifests for digest in needed(blobs, manifest)}
    for blob in blobs.folder.iterdir():
        if blob.name not in keep:
            blob.unlink()


def _add(tar: tarfile.TarFile, name: str, document: dict[str, Any]) -> None:
    data = json.dumps(document).encode()
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
