"""Keys of model endpoints as files in a pod: `/etc/rag/keys/<secret>/<key>`, each Secret with just the keys in use; the
login of proxies too."""

from collections.abc import Iterable

from rag_operator.api.common import SecretKeyRef
from rag_operator.api.names import short_hash
from rag_operator.build import common
from rag_operator.build.common import KEYS_FOLDER, Manifest


def key_volumes(refs: Iterable[SecretKeyRef]) -> list[Manifest]:
    """One volume for each Secret. Optional: pods whose one Secret vanished go on with all else, and name it."""
    return [
        common.secret_volume(_volume(secret), secret, keys, optional=True) for secret, keys in _by_secret(refs).items()
    ]


def key_mounts(refs: Iterable[SecretKeyRef]) -> list[Manifest]:
    """Where the volumes are seen."""
    return [common.mount(_volume(secret), str(KEYS_FOLDER / secret)) for secret in _by_secret(refs)]


def _volume(secret: str) -> str:
    """A Secret's name may be longer than a volume's and have dots."""
    return f"keys-{short_hash(secret)}"


def _by_secret(refs: Iterable[SecretKeyRef]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for ref in refs:
        found.setdefault(str(ref.name), set()).add(str(ref.key))
    return {secret: sorted(keys) for secret, keys in sorted(found.items())}
