"""The operator as a process of its own, against a real API server and a real Postgres."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from rag_operator.kube import kinds
from tests.cluster.fixtures import Kubernetes
from tests.cluster.kube_api import ApiError
from tests.cluster.processes import parse_stat
from tests.support import rights
from tests.support.postgres import ADMIN, PASSWORD, free_port
from tests.support.rights import HOME
from tests.support.scrape import Scrape

T = TypeVar("T")
_EVERY = [kind for kind in vars(kinds).values() if isinstance(kind, kinds.Kind)]
KINDS = {kind.kind.lower(): kind for kind in _EVERY} | {f"{kind.plural}.{kind.group}": kind for kind in _EVERY}
KINDS |= {"ragp": kinds.PIPELINE, "ragt": kinds.TENANT}
NOT_FOUND = 404


PATIENCE = 90.0
"""Seconds: a bound for what hangs, which no machine that merely has other work passes."""


def eventually(look: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """The first truthy value of `look`; AssertionError with the last value, which was looked at after so long."""
    deadline = time.monotonic() + seconds
    while True:
        is_last = time.monotonic() > deadline
        value = look()
        if value:
            return value
        if is_last:
            raise AssertionError(f"not within {seconds:.0f} s: {what}; last seen: {value!r}")
        time.sleep(0.2)


def in_state(pid: int, letter: str) -> bool:
    """Whether the process is in this state of proc(5)."""
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text())[0] == letter
    except OSError:
        return False


@dataclass(slots=True)
class OperatorProcess:
    """One replica of the operator."""

    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its log is appended to."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rag_operator", "run"], env=self.environment, stdout=log, stderr=log
            )

    def send(self, number: int) -> None:
        """Send a signal, and wait for nothing."""
        if self.process is not None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """End it the hard way, now."""
        self.send(signal.SIGKILL)

    def lives(self) -> bool:
        """Whether it has been started and has not ended, by itself or otherwise."""
        return self.process is not None and self.process.poll() is None

    def logged(self) -> str:
        """All whole lines of its log."""
        written, newline, _ = self.log.read_bytes().rpartition(b"\n")
        return (written + newline).decode()

    def is_stopped(self) -> bool:
        """Whether a signal has stopped it in its tracks, so that it answers nobody."""
        return self.process is not None and in_state(self.process.pid, "T")

    def scrape(self) -> Scrape:
        """What it says of itself now."""
        return Scrape(self.environment["RAG_OPERATOR_METRICS_PORT"])

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it by a signal and wait."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(120)
            self.process = None


@dataclass(slots=True)
class World:
    """A namespace, a database and operators that watch just that namespace."""

    api: Kubernetes
    namespace: str
    folder: Path
    kubeconfig: Path
    user: str
    since: int = 0
    """Where the audit log ended when this was made."""
    replicas: list[OperatorProcess] = field(default_factory=list)

    def operator(self, **settings: str) -> OperatorProcess:
        """A replica, started. Settings are `RAG_OPERATOR_*` without the prefix, in small letters."""
        number = len(self.replicas)
        environment = os.environ | {
            "KUBECONFIG": str(self.kubeconfig),
            "POD_NAME": f"operator-{number}",
            "RAG_OPERATOR_NAMESPACE": HOME,
            "RAG_OPERATOR_LEASE_NAME": self.namespace,
            "RAG_OPERATOR_WATCH_NAMESPACES": self.namespace,
            "RAG_OPERATOR_PROBE_PORT": str(free_port()),
            "RAG_OPERATOR_METRICS_PORT": str(free_port()),
            "RAG_OPERATOR_RUNTIME_IMAGE": "rag-operator/runtime:dev",
            "RAG_OPERATOR_ROLLOUT_PAUSE_SECONDS": "0",
        }
        environment |= {f"RAG_OPERATOR_{key.upper()}": value for key, value in settings.items()}
        replica = OperatorProcess(environment, self.folder / f"operator-{number}.log")
        self.replicas.append(replica)
        replica.start()
        return replica

    def logs(self) -> str:
        """What all replicas have logged, in whole lines: the last one may still be being written."""
        return "".join(replica.logged() for replica in self.replicas)

    def audited(self, action: str) -> list[dict[str, Any]]:
        """The audit log's lines of an action, by all replicas."""
        lines = [json.loads(line) for line in self.logs().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("audit") is True and line["action"] == action]

    def wait_audited(self, action: str, number: int = 1) -> dict[str, Any]:
        """The newest of exactly so many of the audit log's lines of an action, once they are there."""
        lines = eventually(lambda: len(a := self.audited(action)) == number and a, f"{number} lines {action}")
        assert isinstance(lines, list)
        return dict(lines[-1])

    def apply(self, *documents: dict[str, Any]) -> str:
        """kubectl apply in this namespace, of JSON: a string `y` that PyYAML writes, kubectl reads as a boolean."""
        listed = {"apiVersion": "v1", "kind": "List", "items": documents}
        return self.api.kubectl("apply", "-n", self.namespace, "-f", "-", given=json.dumps(listed))

    def kubectl(self, *arguments: str) -> str:
        """kubectl in this namespace."""
        return self.api.kubectl("-n", self.namespace, *arguments, deadline=200)

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """An object, or None. `kind` in small letters, as kubectl takes it, whose own process would cost 20 times."""
        try:
            found: dict[str, Any] = self.api.client.get(KINDS[kind].path(self.namespace, name))
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            return None
        return found

    def rights_used(self) -> set[rights.Right]:
        """What its operators have done until now, as RBAC names it."""
        return rights.used(self.api.audit, self.since, self.user)

    def catalog(self, pipeline: str = "support") -> UUID:
        """A pipeline's catalog, once it tells: its tenants may be laid before."""

        def told() -> str:
            return str((self.get("ragpipeline", pipeline) or {}).get("status", {}).get("catalogID") or "")

        return UUID(eventually(told, f"the catalog of {pipeline}"))

    def secret(self, name: str) -> dict[str, str]:
        """A Secret's data, in clear; empty when it is not there."""
        data: dict[str, str] = (self.get("secret", name) or {}).get("data", {})
        return {key: b64decode(value).decode() for key, value in data.items()}

    def has(self, *children: str) -> bool:
        """Whether all of these, as `kind/name`, are there."""
        return all(self.get(*child.split("/")) for child in children)

    def condition(self, kind: str, name: str, condition: str) -> dict[str, Any]:
        """A condition of a resource; empty when it is not there."""
        live = self.get(kind, name) or {}
        conditions: list[dict[str, Any]] = live.get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == condition), {})

    def wait_condition(
        self, kind: str, name: str, condition: str, reason: str, seconds: float = PATIENCE
    ) -> dict[str, Any]:
        """Wait until the condition has the reason."""

        def look() -> dict[str, Any] | None:
            found = self.condition(kind, name, condition)
            return found if found.get("reason") == reason else None

        try:
            found = eventually(look, f"{kind} {name}: {condition}={reason}", seconds)
        except AssertionError as error:
            error.add_note(json.dumps((self.get(kind, name) or {}).get("status"), indent=1)[:4000])
            error.add_note(self.logs()[-4000:])
            raise
        assert found is not None
        return found

    def database_secret(self, dsn: str, name: str = "db") -> dict[str, Any]:
        """The Secret that leads to a database."""
        parts = dict(part.split("=", 1) for part in dsn.split())
        data = {
            "host": parts["host"],
            "port": parts["port"],
            "dbname": parts["dbname"],
            "username": parts.get("user", ADMIN),
            "password": parts.get("password", PASSWORD),
        }
        return secret(name, data)


def secret(name: str, values: dict[str, str]) -> dict[str, Any]:
    """A Secret with these values by key."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}


def pipeline(name: str = "support", **spec: Any) -> dict[str, Any]:
    """A RagPipeline on the database of the Secret `db`."""
    return {
        "apiVersion": "rag-operator.dev/v1alpha1",
        "kind": "RagPipeline",
        "metadata": {"name": name},
        "spec": {"database": {"secretRef": {"name": "db"}}} | spec,
    }


def tenant(name: str = "acme", pipeline: str = "support", **spec: Any) -> dict[str, Any]:
    """A RagTenant with one ConfigMap source."""
    source = {"name": "handbook", "configMapRef": {"name": "handbook"}}
    return {
        "apiVersion": "rag-operator.dev/v1alpha1",
        "kind": "RagTenant",
        "metadata": {"name": name},
        "spec": {"pipelineRef": {"name": pipeline}, "sources": [source]} | spec,
    }


COLLECTED = 180.0
"""Seconds within which the garbage collector removes children; it learns of new kinds every 30 s only."""
EVERYONE = {"namespaces": {"from": "All"}}
"""spec.tenancy of a pipeline that takes tenants of every namespace."""
HANDBOOK: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "handbook"},
    "data": {"hello.md": "# Hello\n\nThe office opens at nine."},
}


@contextmanager
def world(api: Kubernetes, folder: Path) -> Iterator[World]:
    """A namespace, and the operator's service account with the chart's rights; at the end all are gone.

    AssertionError at the end where the operator was refused anything, which the chart then lacks.
    """
    with api.namespace("operator") as namespace, rights.account(api, namespace) as user:
        kubeconfig = api.as_service_account(HOME, namespace, folder)
        made = World(api, namespace, folder, kubeconfig, user, api.audit.mark())
        try:
            yield made
        finally:
            for replica in made.replicas:
                replica.stop(signal.SIGKILL)
            _release(made)
    refused = rights.refused(api.audit, made.since, user)
    assert not refused, f"the chart gives too few rights: {refused}"


@contextmanager
def beside(here: World, labels: dict[str, str] | None = None) -> Iterator[World]:
    """Another namespace, for the same operators where they are told to watch it; at the end they are gone."""
    with here.api.namespace("beside", labels) as namespace:
        made = replace(here, namespace=namespace)
        try:
            yield made
        finally:
            for replica in here.replicas:
                replica.stop(signal.SIGKILL)
            _release(made)


def _release(made: World) -> None:
    """Take our finalizers off: no operator runs any more, but what it asked for last may still be carried out."""
    client = made.api.client
    for kind in (kinds.TENANT, kinds.PIPELINE):
        for live in client.get(kind.path(made.namespace))["items"]:
            path = kind.path(made.namespace, live["metadata"]["name"])
            try:
                client.call("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
            except ApiError as error:
                if error.status != NOT_FOUND:
                    raise
