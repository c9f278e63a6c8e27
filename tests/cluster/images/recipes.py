"""The four images: what goes into each, and the key that says whether it must be built again. And ours of a release."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.images.bases import PYTHON, REDIS, Base
from tests.cluster.paths import HERE, REPOSITORY

_IMAGES = HERE / "images"
_FIXED_TIME = 1_000_000_000  # the builder's cache must not see when a file was last saved


@dataclass(frozen=True, slots=True)
class Built:
    """A base that is an image of ours, built before; `key` is its manifest's digest."""

    image: str
    key: str = ""

    @property
    def reference(self) -> str:
        """The image's name in the builder's storage."""
        return f"localhost/{self.image}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image: its Dockerfile, the base it starts from, and the files of its build context."""

    name: str
    dockerfile: Path
    root: Path
    files: tuple[str, ...]
    base: Base | Built
    public_base: str  # what the Dockerfile starts from where a registry is at hand
    tag: str = "dev"

    @property
    def reference(self) -> str:
        """The name that pods use."""
        return f"rag-operator/{self.name}:{self.tag}"

    @property
    def work(self) -> str:
        """A name for the builder's files about it."""
        return self.name if self.tag == "dev" else f"{self.name}-{self.tag}"

    @property
    def arguments(self) -> dict[str, str]:
        """What the Dockerfile is given besides its base."""
        return {} if self.tag == "dev" else {"VERSION": self.tag}


_PROJECT = ("LICENSE", "README.md", "pyproject.toml", "operator/rag_operator", "runtime/rag_runtime")
_SLIM = "python:3.13-slim"


def _ours(name: str) -> Recipe:
    files = (*_PROJECT, f"locks/{name}.txt")
    return Recipe(name, REPOSITORY / name / "Dockerfile", REPOSITORY, files, PYTHON, _SLIM)


def _service(name: str, base: Base, public_base: str, *files: str) -> Recipe:
    return Recipe(name, _IMAGES / name / "Dockerfile", _IMAGES / name, files, base, public_base)


def release_of(recipe: Recipe, version: str, manifest: str = "") -> Recipe:
    """The image, whose manifest that is, as a release of this version; it starts from the image itself."""
    folder, base = _IMAGES / "release", Built(recipe.reference, manifest)
    return Recipe(recipe.name, folder / "Dockerfile", folder, (), base, recipe.reference, version)


OURS = (_ours("operator"), _ours("runtime"))
RECIPES = (
    *OURS,
    _service("postgres", PYTHON, _SLIM, "requirements.txt", "entrypoint.sh"),
    _service("redis", REDIS, "redis:8"),
)


def stage(recipe: Recipe, folder: Path) -> str:
    """Copy the build context to the folder, so that an editor can't change it meanwhile; the key of what was copied."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in recipe.files:
        source, target = recipe.root / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignored)
        else:
            shutil.copy(source, target)
    shutil.copy(recipe.dockerfile, folder / "Dockerfile")
    for path in folder.rglob("*"):
        os.utime(path, (_FIXED_TIME, _FIXED_TIME))
    return content_key(folder, recipe.base.key, *recipe.arguments.values())


def content_key(folder: Path, *more: str) -> str:
    """A hash of the names, modes and contents of all files below the folder."""
    digest = hashlib.sha256(" ".join(more).encode())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        mode = path.stat().st_mode & 0o111
        digest.update(f"\0{path.relative_to(folder)}\0{mode}\0".encode() + path.read_bytes())
    return digest.hexdigest()
