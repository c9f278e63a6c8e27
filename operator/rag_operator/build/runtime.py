"""Which image query and ingestion pods run: the operator's release's, another version of it, or a pipeline's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag_operator.build.common import Release
from rag_runtime.contract.catalog import CATALOG_VERSION
from rag_runtime.contract.config import CONTRACT_VERSION
from rag_runtime.contract.releases import LINES, Line, line_of, minor_of
from rag_runtime.contract.tenant import TENANT_VERSION

WRITTEN = (CONTRACT_VERSION,)
"""Versions of the configuration document that this operator writes."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """An image, and its version; empty for an image of the pipeline's own."""

    image: str
    version: str = ""


def wanted(own_image: str, pin: str, release: Release) -> Runtime:
    """What `spec.query.image` and `spec.runtimeVersion` ask for; with neither, what this operator was released with."""
    if own_image:
        return Runtime(own_image)
    if pin:
        return Runtime(f"{_parts(release.runtime_image)[0]}:{pin}", pin)
    return Runtime(release.runtime_image, version_of(release.runtime_image) or release.version)


def version_of(image: str) -> str:
    """The tag of an image's reference; empty where it has none, or a digest."""
    return _parts(image)[1]


def refusal(pin: str, release: Release, lines: Sequence[Line] = LINES) -> str:
    """Why pods of that version can't be run, with the mend; empty where they can."""
    if "@" in release.runtime_image:
        return (
            f"spec.runtimeVersion: {pin} can't be chosen, since the operator was installed with "
            "images.runtime.digest, which names one image: install it with images.runtime.tag, or name the image in "
            "spec.query.image"
        )
    line, own = line_of(pin, lines), minor_of(release.version)
    if line is None and own and (minor_of(pin) or own) > own:
        return f"spec.runtimeVersion: {pin} is newer than the operator ({release.version}): upgrade the operator first"
    if line is None or not _fits(line):
        known = " or ".join(f"{line.minor[0]}.{line.minor[1]}" for line in lines if _fits(line))
        return (
            f"spec.runtimeVersion: this operator ({release.version}) has no configuration or no schema that {pin} "
            f"reads: choose a version of {known}, or leave it empty"
        )
    return ""


def outdated(version: str, lines: Sequence[Line] = LINES) -> bool:
    """Whether pods of an older version can't be told anything any more; a version of no release counts as today's."""
    minor, line = minor_of(version), line_of(version, lines)
    return minor is not None and minor < lines[-1].minor and not (line and _fits(line))


def _fits(line: Line) -> bool:
    """A schema is read by the line before, since it is only added to while that may run (DATA §8)."""
    return line.contract in WRITTEN and line.catalog >= CATALOG_VERSION - 1 and line.tenant >= TENANT_VERSION - 1


def _parts(image: str) -> tuple[str, str]:
    """Repository and tag; a colon before a slash belongs to the registry's port."""
    repository, _, digest = image.partition("@")
    folder, slash, name = repository.rpartition("/")
    name, _, tag = name.partition(":")
    return f"{folder}{slash}{name}", "" if digest else tag
