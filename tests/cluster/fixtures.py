"""Pytest fixtures of real Kubernetes, shared by all workers of a run: `api` (no nodes) and `cluster` (pods, images).

Load it in the root conftest: `pytest_plugins = ["tests.cluster.fixtures"]`.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from tests.cluster import backend, binaries, instances, kubeconfig
from tests.cluster.audit import Audit
from tests.cluster.backend import Backend
from tests.cluster.kube_api import KubeApi
from tests.cluster.namespaces import make_namespace
from tests.cluster.paths import cluster_folder, clusters_root, users_folder
from tests.cluster.shared import shared

AS_HELM = ("--server-side", "--field-manager=helm", "--force-conflicts")
"""For `kubectl apply` of what a chart brings too: a later `helm upgrade` conflicts with none but other managers."""
_HAS_NO_STATUS_YET = "accessor error"
_NOT_SERVED_YET = ("doesn't have a resource type", "could not find the requested resource")
_SERVED_SECONDS = 120.0


@dataclass(frozen=True)
class Kubernetes:
    """A real API server to test against."""

    kubeconfig: Path
    audit_log: Path | None
    kubectl_program: str

    @cached_property
    def client(self) -> KubeApi:
        """The administrator's client."""
        return KubeApi(self.kubeconfig)

    @property
    def server(self) -> str:
        """The API's URL."""
        return self.client.server

    @property
    def audit(self) -> Audit:
        """What was asked of the API; skips the test where the log is out of reach (CONTEXT)."""
        if self.audit_log is None:
            pytest.skip("the audit log of a cluster named by CONTEXT is out of reach")
        return Audit(self.audit_log)

    def namespace(self, name: str, labels: dict[str, str] | None = None) -> AbstractContextManager[str]:
        """A namespace for a `with` block."""
        return make_namespace(self.client, name, labels)

    def as_service_account(self, namespace: str, name: str, folder: Path) -> Path:
        """A kubeconfig, in the folder, that acts as the service account for an hour."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        }
        token = self.client.create(path, request)["status"]["token"]
        document = kubeconfig.for_token(self.kubeconfig, token, f"{namespace}-{name}")
        return kubeconfig.write(folder / f"{namespace}-{name}.kubeconfig", document)

    def may(self, user: str, **asked: str) -> bool:
        """Whether the authorizer has seen what lets this user do it: `verb`, `resource`, `namespace` and so on."""
        review = {"spec": {"user": user, "resourceAttributes": asked}}
        said = self.client.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(said["status"]["allowed"])

    def kubectl(self, *arguments: str, given: str | None = None, deadline: float = 180.0) -> str:
        """Run kubectl as administrator; its output. Raises CalledProcessError, with its words, when it fails."""
        return self._run([self.kubectl_program, *arguments], given, deadline)

    def install_kinds(self, definitions: Path) -> None:
        """Apply CustomResourceDefinitions as Helm does, so that it may take them on; wait until they are served."""
        self.kubectl("apply", *AS_HELM, "-f", str(definitions))
        established = ("wait", "--for=condition=Established", "--timeout=120s", "-f", str(definitions))
        self._until_not([_HAS_NO_STATUS_YET], *established)
        made = self.kubectl("get", "-f", str(definitions), "-o", "name").split()
        names = ",".join(name.rpartition("/")[2] for name in made)
        self._until_not(_NOT_SERVED_YET, "get", names, "--all-namespaces", "-o", "name")

    def _until_not(self, passing: Sequence[str], *arguments: str) -> None:
        """Run kubectl until it fails with none of these words any more."""
        deadline = time.monotonic() + _SERVED_SECONDS
        while True:
            try:
                self.kubectl(*arguments)
            except subprocess.CalledProcessError as error:
                if not any(words in error.stderr for words in passing) or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def helm(self, *arguments: str, deadline: float = 300.0) -> str:
        """Run Helm as administrator; its output."""
        binaries.ensure((binaries.EXTRAS,))
        return self._run([binaries.program("helm"), *arguments], None, deadline)

    def _run(self, command: list[str], given: str | None, deadline: float) -> str:
        # Of its own: kubectl keeps by port for six hours what an API serves, and another's had this port before.
        cache = self.kubeconfig.parent / "kubectl-cache"
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(cache)}
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, check=False, timeout=deadline, env=environment
        )
        if done.returncode:
            error = subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
            error.add_note(done.stderr)
            raise error
        return done.stdout


@contextmanager
def without_nodes(run: str) -> Iterator[Kubernetes]:
    """An API server with etcd and the controllers that work without nodes, shared by all who say the same `run`."""
    name = f"api-{run}"
    users = clusters_root() / "users"
    folder = cluster_folder(name)
    users.mkdir(parents=True, exist_ok=True)

    def create() -> None:
        instances.start(name)

    def remove() -> None:
        instances.remove(folder)

    instances.sweep(users)
    with shared(users / name, create, remove):
        yield Kubernetes(folder / "kubeconfig", folder / "audit.log", binaries.program("kubectl"))


@pytest.fixture(scope="session")
def api(testrun: str) -> Iterator[Kubernetes]:
    """An API server with etcd and the controllers that work without nodes; RBAC on. One per test run."""
    with without_nodes(testrun) as made:
        yield made


def used_backend() -> Backend:
    """The cluster that `cluster` gives."""
    return backend.choose(os.environ.get("RAG_CLUSTER", "main"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Kubernetes]:
    """A cluster that runs pods, with the four images. One that was up stays up, and any does with KEEP_CLUSTER=1."""
    chosen = used_backend()
    users = users_folder(chosen.name)
    was_up = users / "was-up"

    def create() -> None:
        users.mkdir(parents=True, exist_ok=True)
        was_up.unlink(missing_ok=True)
        if chosen.is_up():
            was_up.touch()
        chosen.up()
        chosen.build_images()

    def remove() -> None:
        if not was_up.exists() and os.environ.get("KEEP_CLUSTER") != "1":
            chosen.down()

    with shared(users, create, remove):
        yield Kubernetes(chosen.kubeconfig(), chosen.audit_log(), chosen.kubectl())


@pytest.fixture(scope="session")
def testrun() -> str:
    """An id that all workers of this run share, short enough for a folder."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid():08x}")[:12]


@pytest.fixture
def api_namespace(api: Kubernetes, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own on the API without nodes."""
    with api.namespace(str(request.node.name)) as name:
        yield name


@pytest.fixture
def cluster_namespace(cluster: Kubernetes, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own on the cluster with pods."""
    with cluster.namespace(str(request.node.name)) as name:
        yield name
