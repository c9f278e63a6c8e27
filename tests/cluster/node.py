"""The node: container runtime, kubelet, proxy, and as host processes the cluster's DNS and metrics."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from tests.cluster import host, kubeconfig, oci, processes
from tests.cluster.binaries import program
from tests.cluster.control_plane import ControlPlane
from tests.cluster.errors import ClusterError
from tests.cluster.paths import REPOSITORY, run_folder

PAUSE_IMAGE = "rag-operator/pause:dev"
DOMAIN = "cluster.local"
METRICS_PORT = 10251
DNS_READY_PORT = 10254
_CNI_PLUGINS = "/usr/lib/cni"
_MEMORY_FOR_IMAGES = 12 << 30  # half of it is the most that images may take; they take 1.2 GiB


class Node:
    """The one node of a cluster; its control plane must answer before `start`."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.name = f"rag-{plane.plan.name}"
        self.folder = plane.plan.folder
        self.run = run_folder(plane.plan.name)
        self.socket = self.run / "containerd.sock"

    def ctr(self, *arguments: str) -> str:
        """Run containerd's client in the kubelet's namespace."""
        return host.run("ctr", "--address", str(self.socket), "--namespace", "k8s.io", *arguments)

    def full_name(self, reference: str) -> str:
        """The image's name with the domain that the runtime puts before a name without one, as it did for pause."""
        pause = next(name for name in self.ctr("image", "ls", "-q").split() if name.endswith(f"/{PAUSE_IMAGE}"))
        return pause.removesuffix(PAUSE_IMAGE) + reference

    def import_images(self, write: Callable[[IO[bytes]], None]) -> None:
        """Give containerd the archive that `write` writes, without a file in between."""
        command = ["ctr", "--address", str(self.socket), "--namespace", "k8s.io", "image", "import", "-"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as ctr:
            assert ctr.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # then ctr says why
                write(ctr.stdin)
            said, _ = ctr.communicate()
        if ctr.returncode:
            raise ClusterError(f"containerd refused an image: {said.decode().strip()}")

    def prepare(self) -> None:
        """Write configurations, make the bridge, the control group and the place for volumes."""
        for folder in (self.run, self.folder / "cni", self.folder / "volumes", self.folder / "kubelet"):
            folder.mkdir(parents=True, exist_ok=True)
        self._hold_images_in_memory()
        host.set_sysctls()
        host.add_bridge()
        host.make_cgroup(self.name)
        (self.folder / "containerd.toml").write_text(containerd_config(self.folder, self.run))
        (self.folder / "cni" / "10-rag.conflist").write_text(json.dumps(cni_config(self.name, self.folder)))

    def _hold_images_in_memory(self) -> None:
        """Unpacked images in memory: on the disk of a busy machine, making and deleting them takes up to a minute."""
        folder = self.folder / "containerd"
        folder.mkdir()
        if host.available_memory() > _MEMORY_FOR_IMAGES:
            size = f"size={_MEMORY_FOR_IMAGES // 2},mode=711"
            host.run("mount", "-t", "tmpfs", "-o", size, f"{self.name}-images", str(folder))

    def start_runtime(self) -> None:
        """Start containerd and give it the pause image."""
        command = [str(shutil.which("containerd")), "--config", str(self.folder / "containerd.toml")]
        self.plane.start("containerd", command)
        if not processes.wait_until(self._runtime_answers, 60.0):
            raise ClusterError(f"containerd does not answer; its log is in {self.plane.logs}")
        self.import_images(lambda out: oci.write_single_program(out, PAUSE_IMAGE, Path(program("pause"))))

    def _runtime_answers(self) -> bool:
        self.plane.check_alive("containerd")
        asked = ["ctr", "--address", str(self.socket), "version"]
        return self.socket.exists() and not subprocess.run(asked, capture_output=True, check=False).returncode

    def start(self) -> None:
        """Start what makes the node one of the cluster, and the cluster's DNS."""
        pki = self.plane.pki
        pki.sign("kubelet", f"system:node:{self.name}", ["system:nodes"], [self.name, host.NODE_ADDRESS])
        document = kubeconfig.with_certificate(self.plane.plan.server, pki, "kubelet", "kubelet")
        kubelet_access = kubeconfig.write(pki.folder / "kubelet.kubeconfig", document)
        proxy_access = self.plane.client("kube-proxy", "system:kube-proxy")
        scheduler_access = self.plane.client("kube-scheduler", "system:kube-scheduler")
        dns_access = self.plane.client("coredns", "system:coredns")
        self._write("kubelet.json", kubelet_config(self.folder, self.name, self.socket))
        self._write("kube-proxy.json", proxy_config(proxy_access, self.name))
        (self.folder / "Corefile").write_text(corefile(dns_access))
        self.plane.start("kubelet", kubelet_command(self.folder, self.name, kubelet_access))
        self.plane.start("kube-proxy", [program("kube-proxy"), f"--config={self.folder / 'kube-proxy.json'}"])
        self.plane.start("kube-scheduler", scheduler_command(scheduler_access))
        self.plane.start("coredns", [program("coredns"), "-conf", str(self.folder / "Corefile")])
        self._start_own("provisioner", "system:volume-provisioner", str(self.folder / "volumes"))
        self._start_own("policies", "system:network-policies")

    def _start_own(self, name: str, user: str, *arguments: str) -> None:
        access = self.plane.client(name, user)
        command = [sys.executable, "-m", f"tests.cluster.{name}", *arguments, str(access)]
        self.plane.start(name, command, folder=REPOSITORY)

    def start_metrics(self) -> None:
        """Start metrics-server; the node must be registered, or its first reading comes 10 s late."""
        access = self.plane.client("metrics-server", "system:metrics-server")
        hosts = ["metrics-server.kube-system.svc", host.NODE_ADDRESS]
        self.plane.pki.sign("metrics-server-tls", "metrics-server", hosts=hosts)
        self.plane.start("metrics-server", metrics_server_command(self.plane.pki.folder, access))

    def _write(self, name: str, document: dict[str, Any]) -> None:
        (self.folder / name).write_text(json.dumps(document, indent=1))


def containerd_config(folder: Path, run: Path) -> str:
    """containerd's own root, state and socket; the OOM score stays as it is where the machine forbids to lower it."""
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{folder / "containerd"}"
state = "{run / "containerd"}"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
address = "{run / "containerd.sock"}"
[{cri}]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[{cri}.cni]
bin_dir = "{_CNI_PLUGINS}"
conf_dir = "{folder / "cni"}"
[{cri}.containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
SystemdCgroup = false
Root = "{run / "runc"}"
"""


def cni_config(name: str, folder: Path) -> dict[str, Any]:
    """Pods on one bridge, their addresses kept in the cluster's folder."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": host.POD_RANGE, "gateway": host.NODE_ADDRESS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(folder / "addresses"),
    }
    bridge = {"type": "bridge", "bridge": host.BRIDGE, "isGateway": True, "ipMasq": True, "hairpinMode": True}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": name, "plugins": [{**bridge, "ipam": addresses}, ports]}


def kubelet_config(folder: Path, name: str, socket: Path) -> dict[str, Any]:
    """The kubelet's configuration: works with either cgroup version, deletes no image, lets the disk be nearly full."""
    pki = folder / "pki"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": host.NODE_ADDRESS,
        "authentication": {"x509": {"clientCAFile": str(pki / "ca.crt")}, "anonymous": {"enabled": False}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDomain": DOMAIN,
        "clusterDNS": [host.NODE_ADDRESS],
        "podLogsDir": str(folder / "pod-logs"),
        "healthzPort": 0,
        "maxPods": 200,
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def kubelet_command(folder: Path, name: str, access: Path) -> list[str]:
    """The kubelet's command line."""
    return [
        program("kubelet"),
        f"--config={folder / 'kubelet.json'}",
        f"--kubeconfig={access}",
        f"--root-dir={folder / 'kubelet'}",
        f"--hostname-override={name}",
        f"--node-ip={host.NODE_ADDRESS}",
    ]


def proxy_config(access: Path, name: str) -> dict[str, Any]:
    """kube-proxy in iptables mode; NodePorts answer on 127.0.0.1 and on the bridge only; conntrack stays untouched."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(access)},
        "hostnameOverride": name,
        "clusterCIDR": host.POD_RANGE,
        "bindAddress": host.NODE_ADDRESS,
        "healthzBindAddress": f"{host.NODE_ADDRESS}:10256",
        "metricsBindAddress": f"{host.NODE_ADDRESS}:10249",
        "nodePortAddresses": ["127.0.0.0/8", f"{host.NODE_ADDRESS}/32"],
        "conntrack": {"maxPerCore": 0, "min": 0},
        "iptables": {"minSyncPeriod": "100ms", "localhostNodePorts": True},
    }


def scheduler_command(access: Path) -> list[str]:
    """The scheduler's command line."""
    return [
        program("kube-scheduler"),
        f"--kubeconfig={access}",
        f"--authentication-kubeconfig={access}",
        f"--authorization-kubeconfig={access}",
        "--leader-elect=false",
        "--secure-port=0",
    ]


def corefile(access: Path) -> str:
    """The cluster's names, and no other: a test that reaches for the outside world fails at once."""
    return f"""{DOMAIN}:53 in-addr.arpa:53 ip6.arpa:53 {{
  bind {host.NODE_ADDRESS}
  errors
  ready {host.NODE_ADDRESS}:{DNS_READY_PORT}
  kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
    kubeconfig {access} coredns
    pods insecure
    ttl 5
  }}
}}
.:53 {{
  bind {host.NODE_ADDRESS}
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
"""


def metrics_server_command(pki: Path, access: Path) -> list[str]:
    """metrics-server's command line: CPU and memory of pods every 10 s, the shortest it allows."""
    return [
        program("metrics-server"),
        f"--kubeconfig={access}",
        f"--authentication-kubeconfig={access}",
        f"--authorization-kubeconfig={access}",
        f"--requestheader-client-ca-file={pki / 'ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        f"--tls-cert-file={pki / 'metrics-server-tls.crt'}",
        f"--tls-private-key-file={pki / 'metrics-server-tls.key'}",
        f"--bind-address={host.NODE_ADDRESS}",
        f"--secure-port={METRICS_PORT}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        "--kubelet-preferred-address-types=InternalIP",
        "--metric-resolution=10s",
        "--kubelet-request-timeout=5s",
    ]
