"""The local cluster is real: nodes, pods, services, names, volumes, jobs, autoscaling and an audit log all work."""

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster import backend
from tests.cluster.fixtures import Kubernetes
from tests.cluster.lock import in_turn, only_one
from tests.cluster.paths import REPOSITORY, clusters_root
from tests.cluster.processes import wait_until

pytestmark = pytest.mark.e2e

Apply = Callable[[dict[str, Any]], None]
PATIENCE, LONG = 180, 600
"""Seconds: a bound for what hangs, and what is far longer than that."""

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
SERVE = "import http.server as h; h.ThreadingHTTPServer(('', 8080), h.SimpleHTTPRequestHandler).serve_forever()"


@pytest.fixture
def apply(cluster: Kubernetes, cluster_namespace: str) -> Apply:
    def apply_document(document: dict[str, Any]) -> None:
        cluster.kubectl("-n", cluster_namespace, "apply", "-f", "-", given=json.dumps(document))

    return apply_document


def container(*command: str, image: str = "runtime", **more: Any) -> dict[str, Any]:
    reference = f"rag-operator/{image}:dev"
    base = {"name": "main", "image": reference, "imagePullPolicy": "IfNotPresent", "securityContext": RESTRICTED}
    return {**base, "command": list(command), **more} if command else {**base, **more}


def pod(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 1, **spec},
    }


def deployment(name: str, replicas: int, main: dict[str, Any]) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [main]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def service(name: str, **spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "targetPort": 8080}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports, **spec},
    }


def wait_for(cluster: Kubernetes, namespace: str, what: str, condition: str) -> None:
    cluster.kubectl("-n", namespace, "wait", what, f"--for={condition}", "--timeout=180s", deadline=190)


def command_line(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.cluster", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)


def test_the_node_is_ready_and_tells_the_true_version(cluster: Kubernetes) -> None:
    node = cluster.client.get("/api/v1/nodes")["items"][0]
    conditions = {one["type"]: one["status"] for one in node["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.34.4"
    assert cluster.client.get("/version")["gitVersion"] == "v1.34.4"


def test_pods_behind_a_service_are_found_by_name_and_answer(
    cluster: Kubernetes, cluster_namespace: str, apply: Apply
) -> None:
    apply(deployment("web", 2, container("python", "-c", SERVE, readinessProbe={"tcpSocket": {"port": 8080}})))
    apply(service("web"))
    apply(pod("asks", {"containers": [container("sleep", "600")]}))
    cluster.kubectl("-n", cluster_namespace, "rollout", "status", "deployment/web", "--timeout=180s", deadline=190)
    wait_for(cluster, cluster_namespace, "pod/asks", "condition=Ready")
    ask = "import urllib.request as u; print(u.urlopen('http://web/', timeout=5).status)"

    def answers() -> bool:
        try:
            return cluster.kubectl("-n", cluster_namespace, "exec", "asks", "--", "python", "-c", ask).strip() == "200"
        except subprocess.CalledProcessError:  # the proxy and the names learn of ready pods a moment later
            return False

    assert wait_until(answers, PATIENCE)
    far = f"import socket; print(socket.gethostbyname('web.{cluster_namespace}.svc.cluster.local'))"
    clusterip = cluster.kubectl("-n", cluster_namespace, "get", "svc", "web", "-o", "jsonpath={.spec.clusterIP}")
    assert cluster.kubectl("-n", cluster_namespace, "exec", "asks", "--", "python", "-c", far).strip() == clusterip


def test_a_node_port_answers_on_loopback(cluster: Kubernetes, cluster_namespace: str, apply: Apply) -> None:
    apply(pod("web", {"containers": [container("python", "-c", SERVE, readinessProbe={"tcpSocket": {"port": 8080}})]}))
    apply(service("web", type="NodePort"))
    wait_for(cluster, cluster_namespace, "pod/web", "condition=Ready")
    port = cluster.kubectl("-n", cluster_namespace, "get", "svc", "web", "-o", "jsonpath={.spec.ports[0].nodePort}")

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    assert wait_until(answers, PATIENCE)


def test_names_outside_of_the_cluster_do_not_resolve(cluster: Kubernetes, cluster_namespace: str, apply: Apply) -> None:
    ask = "import socket, sys\ntry: socket.getaddrinfo('outside.example', 80)\nexcept socket.gaierror: sys.exit(7)"
    spec = {"restartPolicy": "Never", "containers": [container("python", "-c", ask)]}
    apply(pod("asks", spec))
    wait_for(cluster, cluster_namespace, "pod/asks", "jsonpath={.status.phase}=Failed")
    code = "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"
    assert cluster.kubectl("-n", cluster_namespace, "get", "pod", "asks", "-o", code) == "7"


def test_logs_can_be_read(cluster: Kubernetes, cluster_namespace: str, apply: Apply) -> None:
    apply(pod("says", {"restartPolicy": "Never", "containers": [container("echo", "a word")]}))
    wait_for(cluster, cluster_namespace, "pod/says", "jsonpath={.status.phase}=Succeeded")
    assert cluster.kubectl("-n", cluster_namespace, "logs", "says").strip() == "a word"


def test_a_claim_keeps_what_a_pod_without_root_writes(
    cluster: Kubernetes, cluster_namespace: str, apply: Apply
) -> None:
    storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": storage})
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    mounts = [{"name": "data", "mountPath": "/data"}]
    for name, command in (("writes", "id -u > /data/who"), ("reads", "cat /data/who")):
        main = container("sh", "-c", command, volumeMounts=mounts)
        security = {"fsGroup": 65532}
        apply(
            pod(name, {"restartPolicy": "Never", "volumes": volumes, "containers": [main], "securityContext": security})
        )
        wait_for(cluster, cluster_namespace, f"pod/{name}", "jsonpath={.status.phase}=Succeeded")
    assert cluster.kubectl("-n", cluster_namespace, "logs", "reads").strip() == "65532"


def test_a_cron_job_makes_jobs_that_succeed(cluster: Kubernetes, cluster_namespace: str, apply: Apply) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [container("true")]}}
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template}}}
    apply({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}, "spec": spec})
    cluster.kubectl("-n", cluster_namespace, "create", "job", "now", "--from=cronjob/nightly")
    wait_for(cluster, cluster_namespace, "job/now", "condition=Complete")


def test_the_autoscaler_sees_real_cpu_and_scales_up(cluster: Kubernetes, cluster_namespace: str, apply: Apply) -> None:
    limits = {"requests": {"cpu": "20m"}, "limits": {"cpu": "200m"}}
    apply(deployment("busy", 1, container("python", "-c", "while True: pass", resources=limits)))
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "busy"}
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 2, "metrics": [cpu]}
    apply(
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "busy"}, "spec": spec}
    )

    def scaled() -> bool:
        path = f"/apis/autoscaling/v2/namespaces/{cluster_namespace}/horizontalpodautoscalers/busy"
        return bool(cluster.client.get(path).get("status", {}).get("desiredReplicas") == 2)

    assert wait_until(scaled, PATIENCE, every=1)


@pytest.mark.parametrize(("image", "program"), [("operator", "rag-operator"), ("runtime", "rag-runtime")])
def test_our_images_carry_their_program_and_no_pip(
    cluster: Kubernetes, cluster_namespace: str, apply: Apply, image: str, program: str
) -> None:
    look = f"command -v {program} && id -u && ! python -m pip --version && ls /app/rag_runtime/__pycache__"
    apply(pod("looks", {"restartPolicy": "Never", "containers": [container("sh", "-c", look, image=image)]}))
    wait_for(cluster, cluster_namespace, "pod/looks", "jsonpath={.status.phase}=Succeeded")
    said = cluster.kubectl("-n", cluster_namespace, "logs", "looks")
    assert f"/app/bin/{program}" in said
    assert "65532" in said
    assert ".pyc" in said


def postgres(apply: Apply) -> dict[str, Any]:
    """A pod with a claim and a password, as the operator would make it; its Secret and claim are applied."""
    apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pg"}, "stringData": {"password": "a b'c\"d"}})
    storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "pg"}, "spec": storage})
    mounts = {"data": "/var/lib/postgresql/data", "secret": "/secret", "run": "/var/run/postgresql"}
    environment = {"POSTGRES_USER": "rag", "POSTGRES_DB": "answers", "POSTGRES_PASSWORD_FILE": "/secret/password"}
    main = container(
        image="postgres",
        args=["postgres", "-c", "max_connections=33"],
        env=[{"name": name, "value": value} for name, value in environment.items()],
        volumeMounts=[{"name": name, "mountPath": path} for name, path in mounts.items()],
        readinessProbe={"exec": {"command": ["pg_isready", "-h", "127.0.0.1"]}, "periodSeconds": 1},
    )
    volumes: list[dict[str, Any]] = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "pg"}},
        {"name": "secret", "secret": {"secretName": "pg"}},
        {"name": "run", "emptyDir": {}},
    ]
    security = {"fsGroup": 999}
    spec = {"volumes": volumes, "containers": [main], "securityContext": security}
    return pod("pg", {**spec, "terminationGracePeriodSeconds": LONG})


def test_postgres_keeps_its_data_and_stops_fast(cluster: Kubernetes, cluster_namespace: str, apply: Apply) -> None:
    def inside(*command: str) -> str:
        return cluster.kubectl("-n", cluster_namespace, "exec", "pg", "--", *command).strip()

    def sql(statement: str) -> str:
        return inside("psql", "-qtA", "-U", "rag", "-d", "answers", "-c", statement)

    document = postgres(apply)
    apply(document)
    wait_for(cluster, cluster_namespace, "pod/pg", "condition=Ready")
    assert sql("create extension vector; select extversion from pg_extension where extname = 'vector'") == "0.8.5"
    assert sql("show max_connections") == "33"
    sql("create table kept as select 42 as answer")
    # A client that stays connected does not hold a fast shutdown up.
    exec_in_pod = [cluster.kubectl_program, "--kubeconfig", str(cluster.kubeconfig), "-n", cluster_namespace, "exec"]
    client = [*exec_in_pod, "-i", "pg", "--", "psql", "-U", "rag", "answers"]
    with subprocess.Popen(client, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as idle:
        stays = "select count(*) from pg_stat_activity where datname = 'answers' and state = 'idle'"
        assert wait_until(lambda: sql(stays) == "1", PATIENCE)
        cluster.kubectl(
            "-n", cluster_namespace, "delete", "pod", "pg", f"--timeout={PATIENCE}s", deadline=PATIENCE + 10
        )
        idle.communicate()
    apply(document)
    wait_for(cluster, cluster_namespace, "pod/pg", "condition=Ready")
    assert sql("select answer from kept") == "42"
    right = "env PGPASSWORD=\"$(cat /secret/password)\" psql -qtA -h 127.0.0.1 -U rag -d answers -c 'select 1'"
    assert inside("sh", "-c", right) == "1"
    with pytest.raises(subprocess.CalledProcessError, match="returned non-zero"):
        inside("sh", "-c", right.replace("$(cat /secret/password)", "wrong"))


def test_redis_answers(cluster: Kubernetes, cluster_namespace: str, apply: Apply) -> None:
    probe = {"exec": {"command": ["redis-cli", "ping"]}, "periodSeconds": 1, "timeoutSeconds": 10}
    apply(pod("redis", {"containers": [container("redis-server", "--save", "", image="redis", readinessProbe=probe)]}))
    wait_for(cluster, cluster_namespace, "pod/redis", "condition=Ready")
    assert "PONG" in cluster.kubectl("-n", cluster_namespace, "exec", "redis", "--", "redis-cli", "ping")


def test_the_audit_log_names_what_a_service_account_did(
    cluster: Kubernetes, cluster_namespace: str, apply: Apply
) -> None:
    grant = {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": cluster_namespace}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "edit"}}
    apply({**binding, **grant, "subjects": [subject]})
    user = f"system:serviceaccount:{cluster_namespace}:default"
    wanted = {"verb": "get", "resource": "configmaps", "namespace": cluster_namespace}
    assert wait_until(lambda: cluster.may(user, **wanted), PATIENCE), "the authorizer sees the binding"
    mark = cluster.audit.mark()
    token = "open('/var/run/secrets/kubernetes.io/serviceaccount/token').read()"
    url = f"https://kubernetes.default/api/v1/namespaces/{cluster_namespace}/configmaps/absent"
    ask = (
        "import ssl, urllib.request as u\n"
        "tls = ssl.create_default_context(cafile='/var/run/secrets/kubernetes.io/serviceaccount/ca.crt')\n"
        f"u.urlopen(u.Request('{url}', headers={{'Authorization': 'Bearer ' + {token}}}), context=tls)"
    )
    apply(pod("asks", {"restartPolicy": "Never", "containers": [container("python", "-c", ask)]}))
    wait_for(cluster, cluster_namespace, "pod/asks", "jsonpath={.status.phase}=Failed")
    entries = list(cluster.audit.entries(mark, user=user))
    assert [(entry.verb, entry.resource, entry.name, entry.code) for entry in entries] == [
        ("get", "configmaps", "absent", 404)
    ]


@pytest.fixture
def alone() -> Iterator[None]:
    """The tests of the machine's lock must not meet each other in it."""
    with in_turn(clusters_root() / "tests-of-the-lock"):
        yield


@pytest.mark.usefixtures("alone")
def test_up_on_a_running_cluster_changes_nothing(cluster: Kubernetes) -> None:
    before = cluster.kubeconfig.read_bytes()
    done = command_line("up")
    assert done.returncode == 0, done.stderr
    assert "up already" in done.stderr
    assert cluster.kubeconfig.read_bytes() == before


@pytest.mark.usefixtures("alone")
def test_a_second_up_at_the_same_time_is_refused_by_name(cluster: Kubernetes) -> None:
    if backend.engine_works():
        pytest.skip("kind has a lock per cluster")
    with only_one(clusters_root() / "pods.lock", "up --name main"):
        done = command_line("up")
    assert done.returncode == 1
    assert re.search(r"refused: `up --name main` \(process \d+\) is at work", done.stderr)


@pytest.mark.usefixtures("alone")
def test_a_second_cluster_with_pods_is_refused(cluster: Kubernetes) -> None:
    if backend.engine_works():
        pytest.skip("kind clusters share a machine")
    done = command_line("up", "--name", "other")
    assert done.returncode == 1
    assert "one machine carries one cluster with pods" in done.stderr
