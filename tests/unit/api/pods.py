"""What may be said about pods, and what may not, with the sentence."""

from __future__ import annotations

from typing import Any

from tests.unit.api.examples import Example, Spec, pipeline

ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"
ELSEWHERE = {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["batch", ""]}]}
STORE: Spec = {
    "labels": {"team": "search", "azure.workload.identity/use": "true", "empty": ""},
    "annotations": {"sidecar.istio.io/inject": "false", "note": "any text: {{ }}\n"},
    "nodeSelector": {"kubernetes.io/arch": "amd64", "disk": "ssd"},
    "tolerations": [
        {"operator": "Exists"},
        {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "team", "value": "search", "effect": "NoExecute", "tolerationSeconds": 0},
        {"key": "team", "operator": "Equal", "value": ""},
    ],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {
                        "matchExpressions": [
                            {"key": ZONE, "operator": "In", "values": ["a", "b"]},
                            {"key": "cores", "operator": "Gt", "values": ["8"]},
                            {"key": "spot", "operator": "DoesNotExist"},
                        ]
                    }
                ]
            },
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 100, "preference": {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}}
            ],
        },
        "podAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": ZONE, "labelSelector": {"matchLabels": {"app": "db"}}, "namespaces": ["db"]}
            ]
        },
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": HOST}],
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": {"topologyKey": ZONE, "labelSelector": ELSEWHERE}}
            ],
        },
    },
    "priorityClassName": "system-cluster-critical",
}
WORKLOAD: Spec = STORE | {
    "topologySpreadConstraints": [
        {"topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule", "minDomains": 2, "nodeTaintsPolicy": "Honor"},
        {"topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 2, "nodeAffinityPolicy": "Ignore"},
        {"topologyKey": HOST, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": ELSEWHERE},
    ],
    "serviceAccountAnnotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/search"},
}
PLACED: Spec = {
    "database": {"managed": {"pod": STORE}},
    "cache": {"managed": {"pod": STORE}},
    "query": {"pod": WORKLOAD},
    "ingestion": {"pod": WORKLOAD},
}
NOT_YOURS = "are not yours to set: leave them out"


def refused(about: str, pod: Spec, path: str, says: str, **more: Any) -> Example:
    return pipeline(about, {"query": {"pod": pod}}, f"spec.query.pod{path}", says, **more)


def reserved(field: str, key: str) -> Example:
    return refused(f"{field} {key}", {field: {key: "a"}}, f".{field}", NOT_YOURS)


def toleration(about: str, given: Spec, says: str) -> Example:
    return refused(about, {"tolerations": [given]}, ".tolerations[0]", says)


def node(about: str, requirement: Spec) -> Example:
    term = {"matchExpressions": [requirement]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    path = ".affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
    says = "In and NotIn need values, Gt and Lt one whole number"
    return refused(about, {"affinity": {"nodeAffinity": required}}, f"{path}.matchExpressions[0]", says)


def selector(about: str, given: Spec, path: str, says: str) -> Example:
    one = {"topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": given}
    path = f".topologySpreadConstraints[0].labelSelector{path}"
    return refused(about, {"topologySpreadConstraints": [one]}, path, says)


TAKEN_PODS = [
    pipeline("all that may be said about pods", PLACED),
    pipeline("keys that only look like another's", {"query": {"pod": {"labels": {"notk8s.io/a": "b", "job": "c"}}}}),
]
REFUSED_PODS = [
    *(
        reserved(field, key)
        for field in ("labels", "annotations", "serviceAccountAnnotations")
        for key in (
            "app.kubernetes.io/component",
            "rag-operator.dev/pipeline",
            "kubectl.kubernetes.io/restartedAt",
            "k8s.io/a",
            "argocd.argoproj.io/tracking-id",
        )
    ),
    *(
        reserved("annotations", key)
        for key in (
            "container.apparmor.security.beta.kubernetes.io/query",
            "seccomp.security.alpha.kubernetes.io/pod",
            "io.kubernetes.cri-o.userns-mode",
            "pod-template-hash",
            "no key",
        )
    ),
    refused(
        "a label of a sentence",
        {"labels": {"team": "the search team"}},
        ".labels.team",
        "write at most 63 letters",
        cluster_says="should match '^([A-Za-z0-9]",
    ),
    refused(
        "a free pod template",
        {"hostNetwork": True},
        ".hostNetwork",
        "unknown field",
        cluster_says='unknown field "spec.query.pod.hostNetwork"',
    ),
    pipeline(
        "a spread of one pod",
        {"cache": {"managed": {"pod": {"topologySpreadConstraints": []}}}},
        "spec.cache.managed.pod.topologySpreadConstraints",
        "unknown field",
        cluster_says='unknown field "spec.cache.managed.pod.topologySpreadConstraints"',
    ),
    toleration("a value of nothing", {"key": "a", "operator": "Exists", "value": "b"}, "with operator Exists has no"),
    toleration("no taint", {"value": "b"}, "a toleration without key needs operator Exists"),
    toleration("a wait for nothing", {"key": "a", "tolerationSeconds": 5}, "tolerationSeconds needs effect NoExecute"),
    node("nodes in nothing", {"key": "a", "operator": "In"}),
    node("nodes that exist somehow", {"key": "a", "operator": "Exists", "values": ["b"]}),
    node("nodes of more than many", {"key": "a", "operator": "Gt", "values": ["many"]}),
    node("nodes of more than two figures", {"key": "a", "operator": "Lt", "values": ["1", "2"]}),
    selector("a selector of nothing", {}, "", "name at least one label, or leave labelSelector out"),
    selector(
        "labels in nothing",
        {"matchExpressions": [{"key": "a", "operator": "NotIn"}]},
        ".matchExpressions[0]",
        "In and NotIn need values, Exists and DoesNotExist have none",
    ),
    refused(
        "places of a preference",
        {"topologySpreadConstraints": [{"topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 2}]},
        ".topologySpreadConstraints[0]",
        "minDomains needs whenUnsatisfiable DoNotSchedule",
    ),
    refused(
        "the same spread twice",
        {
            "topologySpreadConstraints": [
                {"topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule", "maxSkew": skew} for skew in (1, 2)
            ]
        },
        "",
        "have the same topologyKey and whenUnsatisfiable",
    ),
]
