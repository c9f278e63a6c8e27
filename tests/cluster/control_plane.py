"""etcd, API server and controllers: the part of a cluster that needs no root, no node and no container."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import kubeconfig
from tests.cluster.audit_policy import AUDIT_POLICY
from tests.cluster.binaries import program
from tests.cluster.certificates import Authority
from tests.cluster.errors import ClusterError
from tests.cluster.kube_api import ApiError, KubeApi
from tests.cluster.processes import Ledger, wait_until

SERVICE_RANGE = "10.96.0.0/16"
_FIRST_SERVICE = "10.96.0.1"
_START_SECONDS = 180.0

# What an API without nodes needs: nothing here pretends that a Deployment has pods, so a test may say so itself.
CONTROLLERS_WITHOUT_NODES = (
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
)
ALL_CONTROLLERS = ("*",)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that distinguishes one control plane from another."""

    name: str
    folder: Path
    port: int
    etcd_port: int
    etcd_peer_port: int
    bind: str = "127.0.0.1"
    advertise: str = ""  # the address under which pods reach the API; empty: there are no pods
    controllers: tuple[str, ...] = CONTROLLERS_WITHOUT_NODES

    @property
    def server(self) -> str:
        """The URL for programs on this machine."""
        return f"https://127.0.0.1:{self.port}"


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


class ControlPlane:
    """One control plane in a folder of its own: its certificates, data, logs and processes."""

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self.plan = plan
        self.ledger = ledger
        self.pki = Authority(plan.folder / "pki")
        self.logs = plan.folder / "logs"

    @property
    def audit_log(self) -> Path:
        """The API server's audit events, one JSON object a line."""
        return self.plan.folder / "audit.log"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.plan.folder / "kubeconfig"

    def prepare(self) -> None:
        """Make certificates, kubeconfigs and the audit policy."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self.pki.create()
        hosts = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
        addresses = ["localhost", "127.0.0.1", _FIRST_SERVICE, *filter(None, [self.plan.advertise])]
        self.pki.sign("apiserver", "kube-apiserver", hosts=hosts + addresses)
        self.pki.sign("kubelet-client", "kube-apiserver-kubelet-client", ["system:masters"])
        self.pki.sign("front-proxy", "front-proxy-client")
        self.client("admin", "kubernetes-admin", "system:masters")
        self.client("controller-manager", "system:kube-controller-manager")
        admin = kubeconfig.with_certificate(self.plan.server, self.pki, "admin", f"rag-{self.plan.name}")
        kubeconfig.write(self.kubeconfig, admin)
        (self.plan.folder / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY))

    def client(self, name: str, user: str, *groups: str) -> Path:
        """Sign a client pair for the user; the kubeconfig with it, for a program on this machine."""
        self.pki.sign(name, user, groups)
        document = kubeconfig.with_certificate(self.plan.server, self.pki, name, name)
        return kubeconfig.write(self.pki.folder / f"{name}.kubeconfig", document)

    def start_api(self) -> None:
        """Start etcd and the API server."""
        self.start("etcd", etcd_command(self.plan))
        self.start("kube-apiserver", apiserver_command(self.plan))

    def wait_for_api(self) -> KubeApi:
        """Wait until the API server says that it is ready."""
        api = KubeApi(self.kubeconfig)

        def ready() -> bool:
            self.check_alive("etcd", "kube-apiserver")
            try:
                return bool(api.get("/readyz") == "ok")
            except (OSError, ApiError):
                return False

        if not wait_until(ready, _START_SECONDS):
            raise ClusterError(f"the API server was not ready after {_START_SECONDS:.0f} s; its log is in {self.logs}")
        return api

    def start_controllers(self) -> None:
        """Start the controller manager."""
        self.start("kube-controller-manager", controller_manager_command(self.plan))

    def start(self, name: str, command: list[str], folder: Path | None = None) -> None:
        """Start and record one process, working in a folder (else the cluster's); its log is called like it."""
        self.ledger.start(name, command, self.logs / f"{name}.log", folder or self.plan.folder)

    def check_alive(self, *names: str) -> None:
        """Raise a ClusterError with the last words of the first of these processes that is gone."""
        for name in names:
            if not self.ledger.named(name):
                log = self.logs / f"{name}.log"
                raise ClusterError(f"{name} ended by itself; its log is {log}, and ends with:\n{_tail(log)}")


def etcd_command(plan: Plan) -> list[str]:
    """etcd's command line; without fsync, since a test cluster that loses power is simply made anew."""
    client, peer = f"http://127.0.0.1:{plan.etcd_port}", f"http://127.0.0.1:{plan.etcd_peer_port}"
    return [
        program("etcd"),
        f"--name={plan.name}",
        f"--data-dir={plan.folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={plan.name}={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def apiserver_command(plan: Plan) -> list[str]:
    """The API server's command line: RBAC, client certificates and service account tokens, nobody anonymous."""
    pki = plan.folder / "pki"
    issuer = "https://kubernetes.default.svc.cluster.local"
    reachable = [f"--advertise-address={plan.advertise}"] if plan.advertise else ["--endpoint-reconciler-type=none"]
    return [
        program("kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{plan.etcd_port}",
        f"--secure-port={plan.port}",
        f"--bind-address={plan.bind}",
        *reachable,
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        "--anonymous-auth=false",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement",
        "--allow-privileged=true",
        f"--service-account-issuer={issuer}",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'kubelet-client.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        "--kubelet-preferred-address-types=InternalIP",  # the node's name resolves nowhere
        *_aggregation_flags(pki),
        f"--audit-policy-file={plan.folder / 'audit-policy.json'}",
        f"--audit-log-path={plan.folder / 'audit.log'}",
        "--audit-log-maxsize=2000",
        "--profiling=false",
        "--shutdown-delay-duration=0s",
    ]


def _aggregation_flags(pki: Path) -> list[str]:
    return [
        f"--requestheader-client-ca-file={pki / 'ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki / 'front-proxy.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy.key'}",
        "--enable-aggregator-routing=true",
    ]


def controller_manager_command(plan: Plan) -> list[str]:
    """The controller manager's command line, with quick reactions of the autoscaler for tests."""
    pki = plan.folder / "pki"
    config = pki / "controller-manager.kubeconfig"
    return [
        program("kube-controller-manager"),
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--controllers={','.join(plan.controllers)}",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki / 'sa.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=100",
        "--kube-api-burst=200",
        "--horizontal-pod-autoscaler-sync-period=5s",
        "--horizontal-pod-autoscaler-cpu-initialization-period=10s",
        "--horizontal-pod-autoscaler-initial-readiness-delay=5s",
    ]


def _tail(log: Path, lines: int = 8) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"
