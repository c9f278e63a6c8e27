"""buildah with a storage of its own: no daemon, no privileges beyond root's, layers cached between builds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.cluster import host
from tests.cluster.errors import ClusterError
from tests.cluster.images import bases
from tests.cluster.images.bases import Base
from tests.cluster.images.export import Blobs, export
from tests.cluster.images.recipes import Recipe
from tests.cluster.lock import in_turn
from tests.cluster.paths import cache_root

_CERTIFICATES = (os.environ.get("PIP_CERT", ""), "/etc/ssl/certs/ca-certificates.crt")

_MANY_LAYERS = 100


class Builder:
    """Builds images into a storage of its own and exports them as blobs; two may be built at once."""

    def __init__(self) -> None:
        self.root = cache_root() / "images"
        self.storage = self.root / "storage"
        self.blobs = Blobs(self.root)

    def build(self, recipe: Recipe, context: Path) -> str:
        """Build the staged context; the digest of the image's manifest."""
        if isinstance(recipe.base, Base):
            with in_turn(self.root / "bases.lock"):
                self._ensure_base(recipe.base)
        command = ["bud", "--isolation", "chroot", "--layers", "--pull-never", "-t", f"localhost/{recipe.reference}"]
        arguments = {"BASE_IMAGE": recipe.base.reference} | recipe.arguments
        certificates = next((path for path in _CERTIFICATES if path and Path(path).exists()), None)
        if certificates:  # the base's own do not know a corporate authority
            command += ["--volume", f"{certificates}:/machine-ca.crt:ro"]
            arguments["PIP_CERT"] = "/machine-ca.crt"
        if "PIP_INDEX_URL" in os.environ:
            arguments["PIP_INDEX_URL"] = os.environ["PIP_INDEX_URL"]
        for name, value in arguments.items():
            command += ["--build-arg", f"{name}={value}"]
        with tempfile.TemporaryDirectory(dir=self.root) as folder:
            written = Path(folder) / "id"
            self._buildah(
                recipe.work, *command, "--iidfile", str(written), "-f", str(context / "Dockerfile"), str(context)
            )
            image = written.read_text().strip().removeprefix("sha256:")
        return export(self.storage, image, self.blobs).digest

    def tidy(self) -> None:
        """Clear what failed builds left, and old layers of source once there are many; those in use stay."""
        self._buildah("tidy", "rm", "--all")
        layers = json.loads((self.storage / "overlay-layers" / "layers.json").read_text())
        if len(layers) > _MANY_LAYERS:
            self._buildah("tidy", "rmi", "--prune", "--force")
        host.unmount_below(self.storage)

    def _ensure_base(self, base: Base) -> None:
        if self._run("inspect", "--type", "image", base.reference).returncode == 0:
            return
        tar = bases.tar(base)
        context = self.root / "contexts" / f"base-{base.name}"
        shutil.rmtree(context, ignore_errors=True)
        context.mkdir(parents=True)
        (context / "base.tar").hardlink_to(tar)
        (context / "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
        self._buildah(f"base-{base.name}", "bud", "--isolation", "chroot", "-t", base.reference, str(context))
        shutil.rmtree(context)

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        storage = ["--root", str(self.storage), "--runroot", "/run/rag-operator/buildah"]
        command = ["buildah", *storage, "--storage-driver", "overlay", *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)

    def _buildah(self, name: str, *arguments: str) -> None:
        done = self._run(*arguments)
        if done.returncode:
            log = self.root / f"{name}.log"
            log.write_text(done.stdout)
            said = [line for line in done.stdout.splitlines() if line.strip() and "level=warning" not in line]
            last = "\n".join(said[-12:])
            raise ClusterError(
                f"building the image {name} failed; all of buildah's words are in {log}, the last:\n{last}"
            )
