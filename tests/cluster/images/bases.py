"""Base images out of Debian packages, for machines that reach no image registry."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.lock import in_turn
from tests.cluster.paths import cache_root
from tests.cluster.progress import say

_WITHOUT = ("doc/*", "man/*", "info/*", "locale/*")
_OPTIONS = (
    "--quiet",
    "--variant=essential",
    *(f"--dpkgopt=path-exclude=/usr/share/{pattern}" for pattern in _WITHOUT),
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
)


@dataclass(frozen=True, slots=True)
class Base:
    """A Debian suite with some packages and nothing more."""

    name: str
    suite: str
    packages: tuple[str, ...]

    @property
    def key(self) -> str:
        """A hash of the recipe."""
        words = " ".join([*_OPTIONS, self.suite, *self.packages])
        return hashlib.sha256(words.encode()).hexdigest()[:16]

    @property
    def reference(self) -> str:
        """The image's name in the builder's storage."""
        return f"localhost/rag-base-{self.name}:{self.key}"


# The same Python as the Dockerfiles' public base; Redis 8, as the public image has it.
PYTHON = Base("python", "trixie", ("python3", "python3-venv", "ca-certificates", "libstdc++6"))
REDIS = Base("redis", "trixie", ("redis-server",))


def tar(base: Base) -> Path:
    """The base's root file system as a tar file, from the cache or made now."""
    folder = cache_root() / "images" / "bases"
    finished = folder / f"{base.name}-{base.key}.tar"
    with in_turn(folder / f"{base.name}.lock"):
        if not finished.exists():
            say(f"making the base image {base.name} from Debian {base.suite} (about 40 s)")
            _bootstrap(base, finished)
    return finished


def _bootstrap(base: Base, finished: Path) -> None:
    unfinished, log = finished.with_suffix(".unfinished.tar"), finished.with_suffix(".log")
    command = ["mmdebstrap", *_OPTIONS, f"--include={','.join(base.packages)}", base.suite, str(unfinished)]
    with log.open("wb") as output:
        if subprocess.run(command, stdout=output, stderr=output, check=False).returncode:
            raise ClusterError(f"mmdebstrap failed for {base.name}; its words are in {log}")
    unfinished.rename(finished)
