"""The chart, rendered by the real Helm: defaults, scope, images, and values that it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_operator.build.common import Proxy
from rag_operator.engine.settings import Settings, from_environment
from tests.unit.chart.conftest import CHART, Helm, Object


def named(manifests: list[Object], kind: str) -> dict[str, Object]:
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == kind}


def operator(manifests: list[Object]) -> Any:
    (deployment,) = named(manifests, "Deployment").values()
    return deployment["spec"]


def environment(manifests: list[Object]) -> dict[str, str]:
    (container,) = operator(manifests)["template"]["spec"]["containers"]
    return {variable["name"]: variable.get("value", "") for variable in container["env"]}


def rules(manifests: list[Object], kind: str = "ClusterRole", name: str = "rag-operator") -> dict[str, set[str]]:
    """Verbs by resource."""
    found: dict[str, set[str]] = {}
    for rule in named(manifests, kind)[name]["rules"]:
        for resource in rule["resources"]:
            found.setdefault(resource, set()).update(rule["verbs"])
    return found


def test_helm_finds_nothing_to_complain_about(helm: Helm) -> None:
    done = helm.run("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout


def test_two_replicas_with_probes_metrics_and_a_disruption_budget(helm: Helm) -> None:
    manifests = helm.template()
    assert operator(manifests)["replicas"] == 2
    (container,) = operator(manifests)["template"]["spec"]["containers"]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"probes": 8080, "metrics": 9090}
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["args"] == ["run"]
    assert "rag-operator" in named(manifests, "PodDisruptionBudget")
    assert named(manifests, "Service")["rag-operator-metrics"]["spec"]["ports"][0]["port"] == 9090


def test_a_namespace_whose_name_reads_as_a_number_is_no_number(helm: Helm) -> None:
    manifests = helm.template({"watchNamespaces": ["10023"]}, namespace="10024")
    assert {manifest["metadata"]["namespace"] for manifest in manifests if "namespace" in manifest["metadata"]} == {
        "10023",
        "10024",
    }
    (subject,) = named(manifests, "RoleBinding")["rag-operator"]["subjects"]
    assert subject["namespace"] == "10024"
    assert environment(manifests)["RAG_OPERATOR_NAMESPACE"] == "10024"


def test_monitors_are_made_only_where_they_are_asked_for(helm: Helm) -> None:
    kinds = {"ServiceMonitor", "PrometheusRule"}
    assert not kinds & {manifest["kind"] for manifest in helm.template()}
    asked = {"enabled": True, "labels": {"release": "prom"}}
    manifests = helm.template({"metrics": {"serviceMonitor": asked | {"interval": "15s"}, "prometheusRule": asked}})
    (monitor,) = named(manifests, "ServiceMonitor").values()
    (service,) = named(manifests, "Service").values()
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["interval"] == "15s"
    (rule,) = named(manifests, "PrometheusRule").values()
    for manifest in (monitor, rule):
        assert manifest["metadata"]["labels"]["release"] == "prom"
    assert f'service="{service["metadata"]["name"]}"' in json.dumps(rule).replace("\\", "")


def test_a_monitor_without_the_service_that_it_scrapes_is_refused(helm: Helm) -> None:
    assert "metrics.service" in helm.refusal({"metrics": {"service": False, "serviceMonitor": {"enabled": True}}})


def test_one_replica_has_no_disruption_budget_that_would_block_a_node(helm: Helm) -> None:
    assert not named(helm.template({"replicas": 1}), "PodDisruptionBudget")


def test_every_selector_finds_the_operators_pods(helm: Helm) -> None:
    manifests = helm.template({"podLabels": {"team": "search"}}, release="mine")
    labels = operator(manifests)["template"]["metadata"]["labels"].items()
    assert operator(manifests)["selector"]["matchLabels"].items() <= labels
    (budget,) = named(manifests, "PodDisruptionBudget").values()
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels
    (service,) = named(manifests, "Service").values()
    assert service["spec"]["selector"].items() <= labels


def test_all_pods_keep_the_restricted_standard(helm: Helm) -> None:
    manifests = helm.template()
    specs = [operator(manifests)["template"]["spec"], named(manifests, "Pod")["rag-operator-check"]["spec"]]
    for spec in specs:
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }


def test_the_operator_reads_its_settings_from_what_the_chart_sets(helm: Helm) -> None:
    values = {"watchNamespaces": ["a", "b"], "logLevel": "debug", "images": {"pullPolicy": "Never"}}
    settings = from_environment(environment(helm.template(values)), "0.1.0")
    assert settings.namespace == "rag-system"
    assert settings.watch_namespaces == ("a", "b")
    assert settings.lease_name == "rag-operator"
    assert settings.log_level == "debug"
    assert settings.release.runtime_image == "rag-operator/runtime:0.1.0"
    assert settings.release.postgres_image == "pgvector/pgvector:pg17"
    assert settings.release.redis_image == "redis:8"
    assert settings.release.pull_policy == "Never"
    assert seconds(settings) == (60, 600, 300)
    graces = {part: {"graceSeconds": 1200} for part in ("rotation", "namespaceDeletion")}
    slower = helm.template({"rollout": {"pauseSeconds": 600}, **graces})
    assert seconds(from_environment(environment(slower), "0.1.0")) == (600, 1200, 1200)


def seconds(settings: Settings) -> tuple[float, float, float]:
    return settings.rollout_pause_seconds, settings.login_grace_seconds, settings.leave_grace_seconds


def test_images_are_overridden_by_tag_digest_and_registry(helm: Helm) -> None:
    digest = "sha256:" + "0" * 64
    images = {
        "registry": "mirror.example/rag",
        "operator": {"tag": "dev"},
        "runtime": {"digest": digest},
        "postgres": {"repository": "my/postgres", "tag": "18"},
        "pullSecrets": [{"name": "mirror"}],
    }
    manifests = helm.template({"images": images})
    spec = operator(manifests)["template"]["spec"]
    assert spec["containers"][0]["image"] == "mirror.example/rag/rag-operator/operator:dev"
    assert spec["imagePullSecrets"] == [{"name": "mirror"}]
    assert named(manifests, "Pod")["rag-operator-check"]["spec"]["imagePullSecrets"] == [{"name": "mirror"}]
    assert from_environment(environment(manifests), "0.1.0").release.pull_secrets == ("mirror",)
    assert from_environment(environment(helm.template()), "0.1.0").release.pull_secrets == ()
    assert environment(manifests)["RAG_OPERATOR_RUNTIME_IMAGE"] == f"mirror.example/rag/rag-operator/runtime@{digest}"
    assert environment(manifests)["RAG_OPERATOR_POSTGRES_IMAGE"] == "mirror.example/rag/my/postgres:18"
    assert environment(manifests)["RAG_OPERATOR_REDIS_IMAGE"] == "mirror.example/rag/redis:8"


def test_the_proxies_of_pods_reach_the_operator_and_do_not_lead_its_own_calls(helm: Helm) -> None:
    proxy = {"https": "http://proxy:3128", "http": "http://proxy:3129", "noProxy": [".corp", "10.0.0.0/8"]}
    values = {"proxy": proxy | {"secretName": "corp-proxy"}}
    env = environment(helm.template(values))
    assert from_environment(env, "0.1.0").release.proxy == Proxy(
        "http://proxy:3128", "http://proxy:3129", (".corp", "10.0.0.0/8"), "corp-proxy"
    )
    assert not {"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"} & env.keys()
    assert from_environment(environment(helm.template()), "0.1.0").release.proxy == Proxy()
    with pytest.raises(ValueError, match="RAG_OPERATOR_HTTPS_PROXY: write http://host:port") as caught:
        from_environment(env | {"RAG_OPERATOR_HTTPS_PROXY": "http://user:word@proxy:1"}, "0.1.0")
    assert "word@" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("url", ["http://user:s3cret@proxy:3128", "http://user:s3/cret@proxy:3128/"])
def test_a_login_in_a_proxys_address_is_refused_with_the_mend_and_not_repeated(
    helm: Helm, scheme: str, url: str
) -> None:
    said = helm.refusal({"proxy": {scheme: url}})
    assert f"proxy.{scheme}: write http://host:port; a user and a password go into a Secret" in said
    assert "named in proxy.secretName" in said
    assert "s3" not in said
    assert "proxy.secretName is the login of proxies" in helm.refusal({"proxy": {"secretName": "corp-proxy"}})


def test_without_namespaces_the_operator_has_one_cluster_role(helm: Helm) -> None:
    manifests = helm.template()
    assert set(named(manifests, "Role")) == {"rag-operator-leader"}
    (binding,) = named(manifests, "ClusterRoleBinding").values()
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "rag-operator", "namespace": "rag-system"}]


def test_with_namespaces_it_has_roles_there_and_no_cluster_role_of_its_own(helm: Helm) -> None:
    manifests = helm.template({"watchNamespaces": ["a", "b"], "rbac": {"aggregateToDefaultRoles": False}})
    assert not named(manifests, "ClusterRole")
    assert not named(manifests, "ClusterRoleBinding")
    roles = [m for m in manifests if m["kind"] == "Role" and m["metadata"]["name"] == "rag-operator"]
    bindings = [m for m in manifests if m["kind"] == "RoleBinding" and m["metadata"]["name"] == "rag-operator"]
    assert [role["metadata"]["namespace"] for role in roles] == ["a", "b"]
    assert [binding["metadata"]["namespace"] for binding in bindings] == ["a", "b"]
    assert all(binding["subjects"][0]["namespace"] == "rag-system" for binding in bindings)
    assert rules(manifests, "Role") == rules(helm.template()) | {"namespaces": {"get"}}


def test_namespaces_are_watched_by_an_operator_of_the_whole_cluster_only(helm: Helm) -> None:
    assert rules(helm.template())["namespaces"] == {"get", "list", "watch"}


def test_secrets_are_read_by_name_and_no_rule_has_a_wildcard(helm: Helm) -> None:
    manifests = helm.template()
    assert rules(manifests)["secrets"] == {"get", "create", "patch", "delete"}
    text = json.dumps([m["rules"] for m in manifests if m["kind"] in {"ClusterRole", "Role"}])
    assert '"*"' not in text


def test_the_operator_may_not_change_a_spec_by_replacing_it_nor_delete_our_kinds(helm: Helm) -> None:
    assert rules(helm.template())["ragtenants"] == {"get", "list", "watch", "patch"}


def test_the_lease_is_one_name_in_the_operators_own_namespace(helm: Helm) -> None:
    manifests = helm.template(release="mine")
    (role,) = (m for m in manifests if m["kind"] == "Role")
    assert role["metadata"]["namespace"] == "rag-system"
    own = ["mine-rag-operator"]
    assert [(rule["resources"], rule.get("resourceNames")) for rule in role["rules"]] == [
        (["leases"], None),
        (["leases"], own),
        (["deployments"], own),
    ]
    assert environment(manifests)["RAG_OPERATOR_LEASE_NAME"] == "mine-rag-operator"


def test_an_uninstall_releases_what_only_the_operator_could(helm: Helm) -> None:
    (job,) = (m for m in helm.template() if m["kind"] == "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["rag-operator", "release"]
    assert not [m for m in helm.template({"uninstall": {"releaseFinalizers": False}}) if m["kind"] == "Job"]


def test_kinds_survive_uninstall_and_can_be_left_to_others(helm: Helm) -> None:
    kinds = named(helm.template(), "CustomResourceDefinition")
    assert set(kinds) == {"ragpipelines.rag-operator.dev", "ragtenants.rag-operator.dev"}
    for kind in kinds.values():
        assert kind["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert not named(helm.template({"crds": {"install": False}}), "CustomResourceDefinition")


def test_the_charts_kinds_are_the_generated_ones(helm: Helm) -> None:
    for name, kind in named(helm.template(), "CustomResourceDefinition").items():
        generated = yaml.safe_load((CHART.parents[1] / "crds" / f"{name.split('.')[0]}.yaml").read_text())
        assert kind["spec"] == generated["spec"]


@pytest.mark.parametrize("release", ["r" * 53, "a", "my-rag-operator"])
def test_any_release_name_gives_valid_names(helm: Helm, release: str) -> None:
    for manifest in helm.template(release=release):
        assert len(manifest["metadata"]["name"]) <= 63


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"replica": 3}, "additional properties 'replica' not allowed"),
        ({"images": {"operator": {"version": "1"}}}, "additional properties 'version' not allowed"),
        ({"replicas": "two"}, "replicas': got string, want integer"),
        ({"images": {"pullPolicy": "Sometimes"}}, "value must be one of 'Always', 'IfNotPresent', 'Never'"),
        ({"watchNamespaces": ["Not A Name"]}, "watchNamespaces/0"),
        ({"logLevel": "loud"}, "logLevel"),
        ({"rotation": {"graceSeconds": 60}}, "rotation/graceSeconds"),
        ({"namespaceDeletion": {"graceSeconds": 0}}, "namespaceDeletion/graceSeconds"),
        ({"proxy": {"https": "https://proxy:3128"}}, "proxy/https"),
        ({"proxy": {"http": "http://pro xy:3128"}}, "proxy/http"),
        ({"proxy": {"secretName": "Not A Name"}}, "proxy/secretName"),
        ({"proxy": {"noProxy": ["a,b"]}}, "proxy/noProxy/0"),
        ({"images": {"redis": {"digest": "latest"}}}, "images/redis/digest"),
    ],
)
def test_values_that_mean_nothing_are_refused_by_name(helm: Helm, values: dict[str, Any], says: str) -> None:
    assert says in helm.refusal(values)


@pytest.mark.parametrize("enabled", [True, False])
def test_it_may_be_a_part_of_another_chart(helm: Helm, tmp_path: Path, enabled: bool) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    part = {"name": CHART.name, "version": version, "condition": f"{CHART.name}.enabled"}
    umbrella = {"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [part]}
    (tmp_path / "Chart.yaml").write_text(json.dumps(umbrella))
    shutil.copytree(CHART, tmp_path / "charts" / CHART.name)
    done = helm.run("template", "platform", str(tmp_path), values={CHART.name: {"enabled": enabled}})
    assert done.returncode == 0, done.stderr
    assert ("kind: Deployment" in done.stdout) is enabled


def test_what_only_another_chart_may_say_is_refused(helm: Helm) -> None:
    assert "enabled: it is for charts that name this one" in helm.refusal({"enabled": True})


def test_the_schema_is_closed_and_knows_every_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def check(part: dict[str, Any], value: object, where: str) -> None:
        resolved = schema["definitions"][part["$ref"].rsplit("/", 1)[1]] if "$ref" in part else part
        if resolved.get("type") == "object" and where != "global":
            assert "additionalProperties" in resolved, f"{where} is open"
        for name, inner in (value if isinstance(value, dict) else {}).items():
            properties = resolved.get("properties", {})
            assert name in properties or isinstance(resolved["additionalProperties"], dict), (
                f"{where}.{name} is unknown"
            )
            if name in properties:
                check(properties[name], inner, f"{where}.{name}")

    check(schema, values, "values")


def test_the_notes_say_the_next_command(helm: Helm) -> None:
    done = helm.run("install", "rag-operator", str(CHART), "--dry-run=client", "--namespace", "rag-system")
    assert done.returncode == 0, done.stderr
    assert "kubectl apply -k examples/quickstart" in done.stdout
    assert "helm test rag-operator --namespace rag-system" in done.stdout
