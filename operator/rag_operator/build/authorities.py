"""Certificates of private authorities as files in a pod: `/etc/rag/ca/<config-map>/<key>`."""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from rag_operator.api import names
from rag_operator.api.endpoint import AuthorityRef
from rag_operator.api.formats import DataKey, ObjectName
from rag_operator.api.pipeline import RagPipelineSpec
from rag_operator.build import common
from rag_operator.build.common import Manifest
from rag_runtime.contract import config as contract

FOLDER = PurePosixPath("/etc/rag/ca")
Authorities = tuple[AuthorityRef, ...]


def file_of(ref: AuthorityRef | None) -> PurePosixPath | None:
    """Where the pods find the certificates; None where none are named."""
    return FOLDER / ref.name / ref.key if ref else None


def of_models(spec: RagPipelineSpec) -> Authorities:
    """Those of the endpoints that query pods call."""
    models = [model.endpoint.ca_ref for model in spec.llm.models or ()]
    embedding = spec.embedding.endpoint.ca_ref if spec.embedding.endpoint else None
    return _sorted(ref for ref in (embedding, *models) if ref)


def of_ingestion(spec: RagPipelineSpec) -> Authorities:
    """Those of what ingestion pods call: the embedding endpoint, and http sources."""
    embedding = spec.embedding.endpoint.ca_ref if spec.embedding.endpoint else None
    return _sorted(ref for ref in (embedding, spec.ingestion.sources.ca_ref) if ref)


def of_all(spec: RagPipelineSpec) -> Authorities:
    """Those of all clients."""
    return _sorted((*of_models(spec), *of_ingestion(spec)))


def of_profiles(profiles: Iterable[contract.EmbeddingProfile]) -> Authorities:
    """Those of profiles that earlier specs have had."""
    files = {profile.endpoint.ca_file for profile in profiles if profile.endpoint and profile.endpoint.ca_file}
    parts = [file.relative_to(FOLDER).parts for file in files if file.is_relative_to(FOLDER)]
    return _sorted(AuthorityRef(name=ObjectName(name), key=DataKey(key)) for name, key in parts)


def volumes(refs: Iterable[AuthorityRef]) -> list[Manifest]:
    """One volume for each ConfigMap. Optional: pods go on with all else, and name the file that isn't there."""
    found = _by_config_map(refs).items()
    return [common.config_map_volume(_volume(name), name, keys, optional=True) for name, keys in found]


def mounts(refs: Iterable[AuthorityRef]) -> list[Manifest]:
    """Where the volumes are seen."""
    return [common.mount(_volume(name), str(FOLDER / name)) for name in _by_config_map(refs)]


def rolls(versions: Mapping[str, str]) -> dict[str, str]:
    """The annotation that rolls pods when certificates change; none where pods trust public authorities only."""
    return {names.ANNOTATION_AUTHORITIES: common.secret_versions(versions)} if versions else {}


def key_of(ref: AuthorityRef) -> str:
    """How `rolls` calls it."""
    return f"{ref.name}/{ref.key}"


def _volume(config_map: str) -> str:
    """A ConfigMap's name may be longer than a volume's and have dots."""
    return f"ca-{names.short_hash(config_map)}"


def _by_config_map(refs: Iterable[AuthorityRef]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for ref in refs:
        found.setdefault(str(ref.name), set()).add(str(ref.key))
    return {name: sorted(keys) for name, keys in sorted(found.items())}


def _sorted(refs: Iterable[AuthorityRef]) -> Authorities:
    return tuple({key_of(ref): ref for ref in sorted(refs, key=key_of)}.values())
