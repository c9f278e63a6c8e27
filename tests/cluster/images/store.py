"""From source to node: build what changed, load what the node lacks, skip the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Protocol

from tests.cluster.images import archive
from tests.cluster.images.builder import Builder
from tests.cluster.images.recipes import OURS, RECIPES, Recipe, release_of, stage
from tests.cluster.lock import in_turn
from tests.cluster.progress import say


class Runtime(Protocol):
    """The container runtime of a node."""

    def ctr(self, *arguments: str) -> str:
        """Run its client."""

    def full_name(self, reference: str) -> str:
        """The name under which it keeps an image that pods call `reference`."""

    def import_images(self, write: Callable[[IO[bytes]], None]) -> None:
        """Take in the archive that `write` writes."""


_AT_ONCE = 2


def build_and_load(node: Runtime) -> None:
    """Build the images whose content changed and import those that the node lacks; one caller at a time."""
    builder = Builder()
    with in_turn(builder.root / "images.lock"):
        try:
            with ThreadPoolExecutor(_AT_ONCE) as workers:
                manifests = list(workers.map(lambda recipe: _build_and_load(builder, recipe, node), RECIPES))
            archive.prune(builder.blobs, manifests)
        finally:
            builder.tidy()


def release(node: Runtime, version: str) -> None:
    """The operator's and the runtime's image once more under this version, made of those that were built last."""
    builder = Builder()
    with in_turn(builder.root / "images.lock"), ThreadPoolExecutor(_AT_ONCE) as workers:
        recipes = [release_of(recipe, version, _built(builder, recipe)[1]) for recipe in OURS]
        list(workers.map(lambda recipe: _build_and_load(builder, recipe, node), recipes))


def _build_and_load(builder: Builder, recipe: Recipe, node: Runtime) -> str:
    began = time.monotonic()
    manifest, built = _build(builder, recipe)
    loaded = _load(builder, recipe, manifest, node)
    did = " and ".join(word for word, done in (("built", built), ("loaded", loaded)) if done) or "unchanged"
    say(f"image {recipe.reference}: {did} ({time.monotonic() - began:.1f} s)")
    return manifest


def _build(builder: Builder, recipe: Recipe) -> tuple[str, bool]:
    context = builder.root / "contexts" / recipe.work
    key = stage(recipe, context)
    known, manifest = _built(builder, recipe)
    if known == key and archive.complete(builder.blobs, manifest):
        return manifest, False
    say(f"building {recipe.work}")
    manifest = builder.build(recipe, context)
    _record(builder, recipe).write_text(f"{key} {manifest}")
    return manifest, True


def _built(builder: Builder, recipe: Recipe) -> tuple[str, str]:
    """Key and manifest of the image as it was built last; empty ones for never."""
    written = _record(builder, recipe)
    key, manifest = written.read_text().split() if written.exists() else ("", "")
    return key, manifest


def _record(builder: Builder, recipe: Recipe) -> Path:
    return builder.root / f"{recipe.work}.built"  # written last: a build that was cut short is done again


def _load(builder: Builder, recipe: Recipe, manifest: str, node: Runtime) -> bool:
    name = node.full_name(recipe.reference)
    if f"{name} {manifest}" in present(node.ctr("image", "ls")):
        return False
    there = set(node.ctr("content", "ls", "-q").split())
    node.import_images(lambda out: archive.write(builder.blobs, manifest, name, out, without=there))
    return True


def present(listed: str) -> set[str]:
    """`name digest` of each image in containerd's list (columns REF, TYPE, DIGEST, …)."""
    rows = [line.split() for line in listed.splitlines()[1:]]
    return {f"{row[0]} {row[2]}" for row in rows if len(row) > 2}
