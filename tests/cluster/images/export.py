"""Images out of the builder's storage, one uncompressed layer at a time, each only once.

`buildah push` reads and compresses every layer at every push: 5 to 9 s for the runtime image, whose last layer alone
changes with the source. Here a layer is read when it is new, which leaves tenths of a second. Layers get digests of
their own (the archive of a folder is not the archive it came from), so the configuration's list of them is rewritten.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.errors import ClusterError
from tests.cluster.lock import in_turn

_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_OPAQUE = "trusted.overlay.opaque"


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob of an OCI layout."""

    digest: str
    size: int

    def descriptor(self, media_type: str) -> dict[str, Any]:
        """The blob as manifests name it."""
        return {"mediaType": media_type, "digest": self.digest, "size": self.size}


class Blobs:
    """A folder of blobs, named by digest, and the memory of which storage layer became which blob."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "blobs" / "sha256"
        self.layers = folder / "layers"

    def path(self, digest: str) -> Path:
        """Where the blob of a digest lies."""
        return self.folder / digest.removeprefix("sha256:")

    def put(self, data: bytes) -> Blob:
        """Keep these bytes."""
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.folder.mkdir(parents=True, exist_ok=True)
        _write_whole(self.path(digest), data)
        return Blob(digest, len(data))

    def layer(self, storage: Path, layer: str) -> Blob:
        """The blob of a storage layer, written now if it is new."""
        known = self.layers / layer
        with in_turn(self.layers / f"{layer}.lock"):  # two images share their base
            if not known.exists() or not self.path(known.read_text()).exists():
                _write_whole(known, self._archived(storage / "overlay" / layer / "diff").encode())
        digest = known.read_text()
        return Blob(digest, self.path(digest).stat().st_size)

    def _archived(self, diff: Path) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / f"unfinished-{diff.parent.name}"
        with unfinished.open("w+b") as written:
            write_layer(diff, written)
            written.seek(0)
            digest = "sha256:" + hashlib.file_digest(written, "sha256").hexdigest()
        unfinished.replace(self.path(digest))
        return digest


def export(storage: Path, image: str, blobs: Blobs) -> Blob:
    """Write an image of the storage, given by its id, as blobs; its manifest."""
    layers = [blobs.layer(storage, layer) for layer in _chain(storage, image)]
    folder = storage / "overlay-images" / image
    config = json.loads((folder / _encoded(f"sha256:{image}")).read_text())
    config["rootfs"]["diff_ids"] = [layer.digest for layer in layers]
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blobs.put(json.dumps(config).encode()).descriptor(_CONFIG),
        "layers": [layer.descriptor(_LAYER) for layer in layers],
    }
    return blobs.put(json.dumps(manifest).encode())


def write_layer(diff: Path, written: io.BufferedRandom | io.BytesIO) -> None:
    """Archive an overlay's upper folder; its whiteouts become the files that images use in their place."""
    with tarfile.open(fileobj=written, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for folder, folders, files in os.walk(diff):
            folders.sort()
            if _is_opaque(folder):
                tar.addfile(tarfile.TarInfo(_inside(diff, Path(folder) / ".wh..wh..opq")))
            for name in sorted([*folders, *files]):
                _add(tar, diff, Path(folder) / name)


def _add(tar: tarfile.TarFile, diff: Path, path: Path) -> None:
    status = path.lstat()
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
        tar.addfile(tarfile.TarInfo(_inside(diff, path.with_name(f".wh.{path.name}"))))
        return
    member = tar.gettarinfo(path, _inside(diff, path))
    member.mtime, member.uname, member.gname = int(status.st_mtime), "", ""
    if member.isreg():
        with path.open("rb") as content:
            tar.addfile(member, content)
    else:
        tar.addfile(member)


def _inside(diff: Path, path: Path) -> str:
    return str(path.relative_to(diff))


def _is_opaque(folder: str) -> bool:
    try:
        return os.getxattr(folder, _OPAQUE) == b"y"
    except OSError:
        return False


def _chain(storage: Path, image: str) -> list[str]:
    """The image's layers, lowest first."""
    images = json.loads((storage / "overlay-images" / "images.json").read_text())
    parents = {
        layer["id"]: layer.get("parent")
        for layer in json.loads((storage / "overlay-layers" / "layers.json").read_text())
    }
    layer = next((one["layer"] for one in images if one["id"] == image), None)
    if layer is None:
        raise ClusterError(f"the builder's storage has no image {image}")
    chain = []
    while layer:
        chain.append(layer)
        layer = parents[layer]
    return chain[::-1]


def _encoded(key: str) -> str:
    """The file name under which the storage keeps a blob of an image."""
    return "=" + base64.b64encode(key.encode()).decode()


def _write_whole(path: Path, data: bytes) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.write_bytes(data)
    fresh.replace(path)
