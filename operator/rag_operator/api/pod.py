"""What users may say about pods: a typed list, never a free pod template (DATA §9).

Names and meanings are Kubernetes' own, so that what stands in another Deployment can be pasted; what is left out here
is left out on purpose.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from rag_operator.api.common import Checked, Invariant, Model
from rag_operator.api.formats import LabelKey, LabelValue, ObjectName, OwnKey

Texts = Annotated[Mapping[OwnKey, Annotated[str, Field(max_length=4096)]], Field(max_length=32)]
Labels = Annotated[Mapping[OwnKey, LabelValue], Field(max_length=32)]
Selector = Annotated[Mapping[LabelKey, LabelValue], Field(max_length=16)]
Values = Annotated[tuple[LabelValue, ...], Field(max_length=32)]
Percentage = Annotated[int, Field(ge=1, le=100)]


class TolerationOperator(StrEnum):
    """How a taint's value is compared."""

    EQUAL = "Equal"
    EXISTS = "Exists"


class TaintEffect(StrEnum):
    """What a taint does to pods that don't tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(Checked):
    """A taint of nodes that the pods tolerate."""

    key: LabelKey | None = None
    """Key of the taint; absent, with operator Exists: every taint."""
    operator: TolerationOperator | None = None
    """Equal (if absent) compares the value, Exists only the key."""
    value: LabelValue | None = None
    """Value of the taint."""
    effect: TaintEffect | None = None
    """Effect of the taint; absent means every effect."""
    toleration_seconds: Annotated[int, Field(ge=0, le=2147483647)] | None = None
    """How long a running pod stays on a node that gets the taint; absent means for ever."""

    invariants: ClassVar = (
        Invariant(
            "!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''",
            "a toleration with operator Exists has no value: leave value out, or use operator Equal",
            lambda one: one.operator is not TolerationOperator.EXISTS or not one.value,
        ),
        Invariant(
            "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
            "a toleration without key needs operator Exists, and tolerates every taint then: add one of the two",
            lambda one: one.key is not None or one.operator is TolerationOperator.EXISTS,
        ),
        Invariant(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "tolerationSeconds needs effect NoExecute: add it, or leave tolerationSeconds out",
            lambda one: one.toleration_seconds is None or one.effect is TaintEffect.NO_EXECUTE,
        ),
    )


class LabelOperator(StrEnum):
    """How a label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class LabelRequirement(Checked):
    """One thing that must hold of an object's labels."""

    key: LabelKey
    """Key of the label."""
    operator: LabelOperator
    """In and NotIn compare the value with values; Exists and DoesNotExist look at the key only."""
    values: Values = ()
    """What the value is compared with."""

    invariants: ClassVar = (
        Invariant(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            "In and NotIn need values, Exists and DoesNotExist have none: add values, or leave them out",
            lambda one: (one.operator in {LabelOperator.IN, LabelOperator.NOT_IN}) == bool(one.values),
        ),
    )


class LabelSelector(Checked):
    """Chooses by labels: all that is given must hold; an empty one chooses all."""

    match_labels: Selector = Field(default_factory=dict)
    """Labels that must be there with these values."""
    match_expressions: Annotated[tuple[LabelRequirement, ...], Field(max_length=8)] = ()
    """What else must hold of the labels."""


class NamedSelector(LabelSelector):
    """Which pods: all that is given must hold."""

    invariants: ClassVar = (
        Invariant(
            "(has(self.matchLabels) && self.matchLabels.size() > 0) || "
            "(has(self.matchExpressions) && self.matchExpressions.size() > 0)",
            "name at least one label, or leave labelSelector out, which stands for these pods themselves",
            lambda one: bool(one.match_labels or one.match_expressions),
        ),
    )


class NodeOperator(StrEnum):
    """How a node's label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GREATER = "Gt"
    LESS = "Lt"


def _node_values_fit(one: "NodeRequirement") -> bool:
    if one.operator in {NodeOperator.EXISTS, NodeOperator.DOES_NOT_EXIST}:
        return not one.values
    if one.operator in {NodeOperator.IN, NodeOperator.NOT_IN}:
        return bool(one.values)
    return len(one.values) == 1 and one.values[0].isdigit() and len(one.values[0]) <= 18


class NodeRequirement(Checked):
    """One thing that must hold of a node's labels."""

    key: LabelKey
    """Key of the label."""
    operator: NodeOperator
    """In and NotIn compare with values, Gt and Lt with one whole number; Exists and DoesNotExist look at the key."""
    values: Values = ()
    """What the value is compared with."""

    invariants: ClassVar = (
        Invariant(
            "self.operator in ['Exists', 'DoesNotExist'] ? (!has(self.values) || self.values.size() == 0) : "
            "has(self.values) && (self.operator in ['In', 'NotIn'] ? self.values.size() > 0 : "
            "self.values.size() == 1 && self.values[0].matches('^[0-9]{1,18}$'))",
            "In and NotIn need values, Gt and Lt one whole number, Exists and DoesNotExist have none: mend values",
            _node_values_fit,
        ),
    )


class NodeSelectorTerm(Model):
    """Nodes of which all these hold."""

    match_expressions: Annotated[tuple[NodeRequirement, ...], Field(min_length=1, max_length=8)]
    """What must hold of a node's labels."""


class NodeSelector(Model):
    """Nodes for which one of the terms holds."""

    node_selector_terms: Annotated[tuple[NodeSelectorTerm, ...], Field(min_length=1, max_length=8)]
    """The terms; one is enough."""


class PreferredNodes(Model):
    """Nodes that are preferred."""

    weight: Percentage
    """How much, against other preferences."""
    preference: NodeSelectorTerm
    """Which nodes."""


class NodeAffinity(Model):
    """Nodes that the pods need or prefer."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    """Nodes that pods need."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        tuple[PreferredNodes, ...], Field(max_length=8)
    ] = ()
    """Nodes that pods prefer."""


class PodAffinityTerm(Model):
    """Pods, and what counts as being near them."""

    topology_key: LabelKey
    """Label of nodes; nodes with the same value are near, for instance kubernetes.io/hostname."""
    label_selector: NamedSelector | None = None
    """Which pods; absent means these pods themselves."""
    namespaces: Annotated[tuple[ObjectName, ...], Field(max_length=16)] = ()
    """Namespaces of those pods; absent means the pipeline's."""


class WeightedPodAffinityTerm(Model):
    """A preference."""

    weight: Percentage
    """How much, against other preferences."""
    pod_affinity_term: PodAffinityTerm
    """Which pods."""


class PodAffinity(Model):
    """Pods that these need or prefer to be near to, or far from."""

    required_during_scheduling_ignored_during_execution: Annotated[
        tuple[PodAffinityTerm, ...], Field(max_length=8)
    ] = ()
    """What must hold."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        tuple[WeightedPodAffinityTerm, ...], Field(max_length=8)
    ] = ()
    """What is preferred."""


class Affinity(Model):
    """Where pods are drawn to, and where not."""

    node_affinity: NodeAffinity | None = None
    """Nodes that pods need or prefer."""
    pod_affinity: PodAffinity | None = None
    """Pods to be near to."""
    pod_anti_affinity: PodAffinity | None = None
    """Pods to be far from."""


class WhenUnsatisfiable(StrEnum):
    """What happens to a pod that would break a spread."""

    DO_NOT_SCHEDULE = "DoNotSchedule"
    SCHEDULE_ANYWAY = "ScheduleAnyway"


class NodeInclusion(StrEnum):
    """Whether nodes that pods may not use count in a spread."""

    HONOR = "Honor"
    IGNORE = "Ignore"


class TopologySpread(Checked):
    """How evenly pods are spread."""

    topology_key: LabelKey
    """Label of nodes; nodes with the same value are one place, for instance topology.kubernetes.io/zone."""
    when_unsatisfiable: WhenUnsatisfiable
    """DoNotSchedule lets a pod wait that would break the spread, ScheduleAnyway only prefers other places."""
    max_skew: Annotated[int, Field(ge=1, le=500)] = 1
    """How many more pods one place may have than another."""
    min_domains: Annotated[int, Field(ge=1, le=500)] | None = None
    """Places that there must be at least, with DoNotSchedule."""
    label_selector: NamedSelector | None = None
    """Which pods are counted; absent means these pods themselves, those of each rollout apart."""
    node_affinity_policy: NodeInclusion | None = None
    """Honor (if absent) counts only nodes that nodeSelector and affinity allow."""
    node_taints_policy: NodeInclusion | None = None
    """Honor counts only nodes whose taints are tolerated; absent means Ignore."""

    invariants: ClassVar = (
        Invariant(
            "!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'",
            "minDomains needs whenUnsatisfiable DoNotSchedule: change that, or leave minDomains out",
            lambda one: one.min_domains is None or one.when_unsatisfiable is WhenUnsatisfiable.DO_NOT_SCHEDULE,
        ),
    )


class Pod(Checked):
    """What pods carry, and on which nodes they run."""

    labels: Labels = Field(default_factory=dict)
    """Labels of the pods, beside the operator's."""
    annotations: Texts = Field(default_factory=dict)
    """Annotations of the pods, beside the operator's."""
    node_selector: Selector = Field(default_factory=dict)
    """Labels that a node must have."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16)] = ()
    """Taints of nodes that the pods tolerate."""
    affinity: Affinity | None = None
    """Where pods are drawn to, and where not."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods; it must exist."""


def _spreads_differ(pod: "WorkloadPod") -> bool:
    pairs = [(one.topology_key, one.when_unsatisfiable) for one in pod.topology_spread_constraints]
    return len(set(pairs)) == len(pairs)


class WorkloadPod(Pod):
    """What pods carry, on which nodes they run, how they are spread, and who they are to a cloud."""

    topology_spread_constraints: Annotated[tuple[TopologySpread, ...], Field(max_length=8)] = ()
    """How pods are spread. Query pods are spread softly over nodes and zones where nothing is given."""
    service_account_annotations: Texts = Field(default_factory=dict)
    """Annotations of a ServiceAccount that is made for these pods, for a cloud's workload identity. Absent: the pods
    have no account of their own. No token of Kubernetes is mounted either way."""

    invariants: ClassVar = (
        Invariant(
            "!has(self.topologySpreadConstraints) || self.topologySpreadConstraints.all(one, "
            "self.topologySpreadConstraints.exists_one(other, other.topologyKey == one.topologyKey && "
            "other.whenUnsatisfiable == one.whenUnsatisfiable))",
            "two topologySpreadConstraints have the same topologyKey and whenUnsatisfiable: remove one",
            _spreads_differ,
        ),
    )
