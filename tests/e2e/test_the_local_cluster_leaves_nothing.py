"""Whatever happens to `up`, `down` leaves the machine as it was: no process, mount, bridge, rule, group or setting.

Run alone (`-m cluster_lifecycle`), when no cluster with pods is up: a machine carries one.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import backend, host, state
from tests.cluster.fixtures import Kubernetes
from tests.cluster.local import LocalCluster
from tests.cluster.paths import REPOSITORY, cluster_folder, run_folder
from tests.cluster.processes import marked, wait_until

pytestmark = pytest.mark.cluster_lifecycle

NAME = "life"
Machine = dict[str, object]


def command_line(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.cluster", *arguments, "--name", NAME]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=900, check=False)


def kill_once_it_started(up: subprocess.Popen[bytes], program: str) -> None:
    started = cluster_folder(NAME) / "logs" / f"{program}.log"
    assert wait_until(lambda: started.exists() or up.poll() is not None, 300, every=0.01)
    assert up.poll() is None, "up ended by itself"
    up.send_signal(signal.SIGKILL)


def rules(family: str) -> set[str]:
    saved = subprocess.run([f"{family}-save"], capture_output=True, text=True, check=False).stdout
    return {line for line in saved.splitlines() if line.startswith("-A ")} | set(re.findall(r"^:(\S+) -", saved, re.M))


def machine() -> Machine:
    """All that a cluster touches."""
    return {
        "processes": {one.pid for one in marked(str(cluster_folder(NAME)))},
        "mounts": host.mounted_below(cluster_folder(NAME), run_folder(NAME), Path("/run/netns")),
        "links": {path.name for path in Path("/sys/class/net").iterdir()},
        "rules": rules("iptables") | rules("ip6tables"),
        "cgroups": host.cgroups(f"rag-{NAME}"),
        "sysctls": host.read_sysctls(),
        "folders": [str(path) for path in FOLDERS if path.exists()],
        "cluster folder": cluster_folder(NAME).exists(),
    }


FOLDERS = (run_folder(NAME), Path("/var/lib/kubelet"), Path("/var/lib/cni"), Path("/var/log/containers"),
           Path("/run/containerd"), Path("/run/netns"), Path("/opt/containerd"))  # fmt: skip


@pytest.fixture
def before() -> Iterator[Machine]:
    """The machine with no cluster on it; afterwards no cluster is on it either, whatever the test did."""
    if os.geteuid() != 0 or not isinstance(backend.choose(NAME), LocalCluster):
        pytest.skip("clusters of a container engine are its own to clean up")
    if state.of_role("pods"):
        pytest.skip("a cluster with pods is up on this machine")
    before = machine()
    yield before
    command_line("down")


def test_down_after_pods_and_volumes_leaves_nothing(before: Machine) -> None:
    done = command_line("up")
    assert done.returncode == 0, done.stderr
    cluster = Kubernetes(cluster_folder(NAME) / "kubeconfig", None, backend.choose(NAME).kubectl())
    storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": storage}
    main = {
        "name": "main",
        "image": "rag-operator/pause:dev",
        "imagePullPolicy": "Never",
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "ports": [{"containerPort": 80, "hostPort": 18080}],
    }
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    spec = {"containers": [main], "volumes": volumes}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "held", "labels": {"app": "held"}}, "spec": spec}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "held"},
        "spec": {"type": "NodePort", "selector": {"app": "held"}, "ports": [{"port": 80}]},
    }
    for document in (claim, pod, service):
        cluster.kubectl("apply", "-f", "-", given=json.dumps(document))
    cluster.kubectl("wait", "pod/held", "--for=condition=Ready", "--timeout=180s", deadline=190)
    assert machine() != before
    assert command_line("down").returncode == 0
    assert machine() == before


@pytest.mark.parametrize("program", ["etcd", "containerd", "kubelet", "metrics-server"])
def test_down_after_an_up_that_was_killed_leaves_nothing(before: Machine, program: str) -> None:
    """Killed as soon as the program runs: at the start, before the node, with the node, and near the end."""
    command = [sys.executable, "-m", "tests.cluster", "up", "--name", NAME]
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL) as starting:
        kill_once_it_started(starting, program)
    assert command_line("down").returncode == 0
    assert machine() == before


def test_up_after_an_up_that_was_killed_starts_anew(before: Machine) -> None:
    command = [sys.executable, "-m", "tests.cluster", "up", "--name", NAME]
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL) as starting:
        kill_once_it_started(starting, "kubelet")
    done = command_line("up")
    assert done.returncode == 0, done.stderr
    assert "left half up" in done.stderr
    assert command_line("down").returncode == 0
    assert machine() == before
