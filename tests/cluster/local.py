"""A cluster with pods from this machine's own programs: no container engine, no registry; needs root on Linux."""

from __future__ import annotations

import os
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.cluster import addons, binaries, host, leftovers, packages, state
from tests.cluster.control_plane import ALL_CONTROLLERS, ControlPlane, Plan, free_ports
from tests.cluster.errors import ClusterError
from tests.cluster.images import store
from tests.cluster.kube_api import ApiError, KubeApi
from tests.cluster.lock import only_one
from tests.cluster.node import DNS_READY_PORT, METRICS_PORT, Node
from tests.cluster.paths import LONGEST_CLUSTER_FOLDER, cluster_folder, clusters_root, users_folder
from tests.cluster.processes import Ledger, wait_until
from tests.cluster.progress import say
from tests.cluster.shared import living

_API_PORT = 6443
_READY_SECONDS = 180.0
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "containerd", "kubelet", "kube-proxy",
            "kube-scheduler", "coredns", "provisioner", "policies", "metrics-server")  # fmt: skip


class LocalCluster:
    """The one pod cluster of this machine."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = cluster_folder(name)
        self.ledger = Ledger(self.folder / "processes.jsonl", str(self.folder))

    def up(self) -> None:
        """Start the cluster, in seconds once its programs are in the cache."""
        self._check_machine()
        # The lock is the machine's, since bridge and iptables are; it lies outside of the folder that `down` deletes.
        with only_one(clusters_root() / "pods.lock", f"up --name {self.name}"):
            self._check_alone()
            packages.ensure(packages.CLUSTER)
            binaries.ensure()
            if self.is_up():
                say(f"cluster {self.name} is up already; kubeconfig: {self.kubeconfig()}")
                return
            if state.read(self.folder) or self.ledger.alive():
                say(f"cluster {self.name} was left half up; removing it first")
                leftovers.remove(self.name, self.ledger)
            try:
                self._start()
            except BaseException as error:
                self._keep_logs()
                say(f"up failed ({error!r}); cleaning up")
                leftovers.remove(self.name, self.ledger)
                raise

    def down(self) -> None:
        """End all of it; also what a crashed `up` left."""
        with only_one(clusters_root() / "pods.lock", f"down --name {self.name}"):
            began = time.monotonic()
            self._check_unused()
            if not self.folder.exists() and not host.cgroups(f"rag-{self.name}"):
                say(f"cluster {self.name} is not up; nothing to do")
                return
            leftovers.remove(self.name, self.ledger)
            say(f"cluster {self.name} is down ({time.monotonic() - began:.1f} s)")

    def is_up(self) -> bool:
        """Whether all its programs run and the API answers."""
        if state.read(self.folder) is None or not all(self.ledger.named(name) for name in PROGRAMS):
            return False
        try:
            return bool(KubeApi(self.kubeconfig()).get("/readyz") == "ok")
        except (OSError, ApiError):
            return False

    def status(self) -> str:
        """Each program with its pid, or that it is gone."""
        known = state.read(self.folder)
        if known is None:
            return f"cluster {self.name}: down"
        lines = [f"cluster {self.name}: {'up' if self.is_up() else 'broken (run down, then up)'}  {known.server}"]
        for name in PROGRAMS:
            pids = ", ".join(str(one.pid) for one in self.ledger.named(name))
            lines.append(f"  {name:24} {pids or 'not running; see ' + str(self.folder / 'logs' / f'{name}.log')}")
        return "\n".join([*lines, f"  kubeconfig {self.kubeconfig()}", f"  kubectl    {self.kubectl()}"])

    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    def audit_log(self) -> Path | None:
        """The audit log."""
        return self.folder / "audit.log"

    def kubectl(self) -> str:
        """The kubectl of the cluster's own version."""
        return str(binaries.bin_folder() / "kubectl")

    def build_images(self) -> None:
        """Build what changed, and import what the node does not have."""
        if not self.is_up():
            raise ClusterError(f"cluster {self.name} is not up: python3 -m tests.cluster up --name {self.name}")
        packages.ensure(packages.CLUSTER, packages.IMAGES)
        store.build_and_load(self._node())

    def release_images(self, version: str) -> None:
        """Make and import what the node does not have."""
        store.release(self._node(), version)

    # --- starting

    def _plane(self) -> ControlPlane:
        etcd, peer = free_ports(2)
        plan = Plan(
            name=self.name,
            folder=self.folder,
            port=_API_PORT,
            etcd_port=etcd,
            etcd_peer_port=peer,
            bind="0.0.0.0",
            advertise=host.NODE_ADDRESS,
            controllers=ALL_CONTROLLERS,
        )
        return ControlPlane(plan, self.ledger)

    def _node(self) -> Node:
        return Node(self._plane())

    def _start(self) -> None:
        began = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        plane = self._plane()
        node = Node(plane)
        state.State(self.name, "pods", plane.plan.server, host.read_sysctls()).write(self.folder)
        say(f"starting cluster {self.name}: etcd, API server, containerd")
        plane.prepare()
        node.prepare()
        plane.start_api()
        with ThreadPoolExecutor(1) as other:
            runtime = other.submit(node.start_runtime)
            api = plane.wait_for_api()
            plane.start_controllers()
            addons.install(api)
            runtime.result()
        say("starting controllers, kubelet, kube-proxy, scheduler, DNS")
        node.start()
        self._wait("the node to be Ready", plane, lambda: _node_ready(api, node.name))
        node.start_metrics()
        say("node Ready; waiting for DNS, metrics and the default service account")
        self._wait("DNS", plane, lambda: _answers(f"http://{host.NODE_ADDRESS}:{DNS_READY_PORT}/ready"))
        self._wait("the default service account", plane, lambda: _exists(api, _DEFAULT_ACCOUNT))
        self._wait("metrics-server", plane, lambda: _listens(host.NODE_ADDRESS, METRICS_PORT))
        addons.install_metrics_api(api, plane.pki.crt("ca"))
        self._wait("the metrics API", plane, lambda: addons.metrics_api_available(api))
        say(f"cluster {self.name} is up ({time.monotonic() - began:.1f} s); kubeconfig: {self.kubeconfig()}")

    def _wait(self, what: str, plane: ControlPlane, true: Callable[[], bool]) -> None:
        def true_while_alive() -> bool:
            plane.check_alive(*(one.name for one in plane.ledger.recorded()))
            return true()

        if not wait_until(true_while_alive, _READY_SECONDS, every=0.1):
            raise ClusterError(f"waited {_READY_SECONDS:.0f} s for {what} in vain; logs are in {plane.logs}")

    def _keep_logs(self) -> None:
        kept = clusters_root() / f"{self.name}-failed-logs"
        shutil.rmtree(kept, ignore_errors=True)
        if (self.folder / "logs").is_dir():
            shutil.copytree(self.folder / "logs", kept)
            say(f"logs of the failure: {kept}")

    # --- refusals

    def _check_machine(self) -> None:
        if os.uname().sysname != "Linux" or os.geteuid() != 0:
            raise ClusterError(
                "without a container engine and kind, the local cluster needs root on Linux;"
                " install kind, or name a cluster of yours with CONTEXT=name"
            )
        if len(str(self.folder)) > LONGEST_CLUSTER_FOLDER:
            raise ClusterError(f"{self.folder} is too long a path for Unix sockets; set RAG_CACHE to a shorter one")

    def _check_unused(self) -> None:
        users = living(users_folder(self.name))
        if users:
            pids = ", ".join(str(user.pid) for user in users)
            raise ClusterError(f"refused: tests are running on cluster {self.name} (process {pids}); wait or end them")

    def _check_alone(self) -> None:
        for other in state.of_role("pods"):
            if other.name != self.name:
                raise ClusterError(
                    f"cluster {other.name} exists, and one machine carries one cluster with pods;"
                    f" remove it first: python3 -m tests.cluster down --name {other.name}"
                )
        if state.read(self.folder) is None and not self.ledger.alive():
            if host.bridge_exists():
                raise ClusterError(f"the bridge {host.BRIDGE} belongs to a cluster of another cache folder (RAG_CACHE)")
            if host.leftover_chains() and shutil.which("iptables"):
                raise ClusterError(
                    "another Kubernetes runs on this machine (iptables has its chains); use CONTEXT=name"
                )


_DEFAULT_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"


def _node_ready(api: KubeApi, name: str) -> bool:
    for node in api.get("/api/v1/nodes")["items"]:
        conditions = node["status"].get("conditions", [])
        tainted = node["spec"].get("taints")
        if any(one["type"] == "Ready" and one["status"] == "True" for one in conditions) and not tainted:
            return bool(node["metadata"]["name"] == name)
    return False


def _exists(api: KubeApi, path: str) -> bool:
    try:
        api.get(path)
    except ApiError:
        return False
    return True


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True
