"""What query pods began with: while a Secret or certificate is away, its version stays, and no pod rolls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rag_operator.api import names
from rag_operator.api.pipeline import RagPipeline
from rag_operator.build import authorities, cache, common, config
from rag_operator.kube.client import Object


def secret_versions(pipeline: RagPipeline, deployment: Object | None, found: Mapping[str, str]) -> dict[str, str]:
    """Versions of the Secrets whose change rolls query pods: those found, and of those away what the pods run with."""
    wanted = [str(ref.name) for ref in config.key_refs_of(pipeline.spec)]
    return _known(deployment, names.ANNOTATION_SECRET_VERSIONS, found, [*wanted, cache.secret_name(pipeline)])


def ca_versions(pipeline: RagPipeline, deployment: Object | None, found: Mapping[str, str]) -> dict[str, str]:
    """The same of certificates."""
    wanted = [authorities.key_of(ref) for ref in authorities.of_models(pipeline.spec)]
    return _known(deployment, names.ANNOTATION_AUTHORITIES, found, wanted)


def _known(
    deployment: Object | None, annotation: str, found: Mapping[str, str], wanted: Iterable[str]
) -> dict[str, str]:
    annotations = deployment["spec"]["template"]["metadata"].get("annotations", {}) if deployment else {}
    known = common.versions_of(annotations.get(annotation, "")) | dict(found)
    return {name: known[name] for name in wanted if name in known}
