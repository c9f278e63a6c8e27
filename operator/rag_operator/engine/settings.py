"""What the operator's process is told by its environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rag_operator.build.common import Proxy, Release

PREFIX = "RAG_OPERATOR_"
WORKERS = 320
"""Reconciles at once, of all databases; the queue bounds those of one, so that sixteen may hang and others go on."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one operator process; `watch_namespaces` empty means the whole cluster."""

    namespace: str
    identity: str
    release: Release
    watch_namespaces: tuple[str, ...] = ()
    lease_name: str = "rag-operator"
    probe_port: int = 8080
    metrics_port: int = 9090
    workers: int = WORKERS
    resync_seconds: float = 300.0
    rollout_pause_seconds: float = 60.0
    """How long a pipeline runs a new release before the next one moves to it."""
    login_grace_seconds: float = 600.0
    """How long query pods' former logins stay open after a rotation; the kubelet brings new ones within two minutes."""
    leave_grace_seconds: float = 300.0
    """How long a namespace that is being deleted waits for a database elsewhere that closes its tenants' answers."""
    log_level: str = "info"
    kubeconfig: str | None = None

    def watches(self, namespace: str) -> bool:
        """Whether the operator works in that namespace."""
        return not self.watch_namespaces or namespace in self.watch_namespaces


def from_environment(env: Mapping[str, str], version: str) -> Settings:
    """Settings of the environment variables `RAG_OPERATOR_*` and `POD_NAME`; ValueError names a bad one."""

    def text(name: str, default: str) -> str:
        return env.get(PREFIX + name, "") or default

    def number(name: str, default: int) -> int:
        raw = text(name, str(default))
        if not raw.isdigit():
            raise ValueError(f"{PREFIX}{name}: {raw!r} is no whole number")
        return int(raw)

    def words(name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in text(name, "").split(",") if part.strip())

    release = Release(
        version=version,
        runtime_image=text("RUNTIME_IMAGE", f"rag-operator/runtime:{version}"),
        postgres_image=text("POSTGRES_IMAGE", "pgvector/pgvector:pg17"),
        redis_image=text("REDIS_IMAGE", "redis:8"),
        pull_policy=text("IMAGE_PULL_POLICY", "IfNotPresent"),
        pull_secrets=words("IMAGE_PULL_SECRETS"),
        proxy=Proxy(_proxy(env, "HTTPS_PROXY"), _proxy(env, "HTTP_PROXY"), words("NO_PROXY"), text("PROXY_SECRET", "")),
    )
    return Settings(
        namespace=text("NAMESPACE", "default"),
        identity=env.get("POD_NAME") or env.get("HOSTNAME") or "rag-operator",
        release=release,
        watch_namespaces=words("WATCH_NAMESPACES"),
        lease_name=text("LEASE_NAME", "rag-operator"),
        probe_port=number("PROBE_PORT", 8080),
        metrics_port=number("METRICS_PORT", 9090),
        workers=number("WORKERS", WORKERS),
        resync_seconds=float(number("RESYNC_SECONDS", 300)),
        rollout_pause_seconds=float(number("ROLLOUT_PAUSE_SECONDS", 60)),
        login_grace_seconds=float(number("LOGIN_GRACE_SECONDS", 600)),
        leave_grace_seconds=float(number("LEAVE_GRACE_SECONDS", 300)),
        log_level=text("LOG_LEVEL", "info"),
        kubeconfig=env.get("KUBECONFIG") or None,
    )


def _proxy(env: Mapping[str, str], name: str) -> str:
    """A proxy that pods are told of; named apart from HTTPS_PROXY, which would lead the operator's own calls there."""
    address = env.get(PREFIX + name, "")
    if address and not re.fullmatch(r"http://[^\s/@]+/?", address):
        raise ValueError(
            f"{PREFIX}{name}: write http://host:port, without a user and a password, which pods would show: name a "
            f"Secret with them in {PREFIX}PROXY_SECRET"
        )
    return address
