"""Whether a pipeline takes tenants of another namespace than its own."""

from __future__ import annotations

from collections.abc import Mapping

from rag_operator.api.pod import LabelOperator, LabelRequirement, LabelSelector
from rag_operator.api.tenancy import NamespacesFrom, TenantNamespaces


def allows(namespaces: TenantNamespaces, labels: Mapping[str, str]) -> bool:
    """Whether tenants of a namespace with these labels may use the pipeline."""
    if namespaces.from_ is NamespacesFrom.SELECTOR:
        return namespaces.selector is not None and chooses(namespaces.selector, labels)
    return namespaces.from_ is NamespacesFrom.ALL


def chooses(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether Kubernetes would choose an object with these labels; an absent label is in no list of values."""
    equal = all(labels.get(key) == value for key, value in selector.match_labels.items())
    return equal and all(_holds(one, labels) for one in selector.match_expressions)


def _holds(requirement: LabelRequirement, labels: Mapping[str, str]) -> bool:
    key, value = requirement.key, labels.get(requirement.key)
    match requirement.operator:
        case LabelOperator.IN:
            return value in requirement.values
        case LabelOperator.NOT_IN:
            return value not in requirement.values
        case LabelOperator.EXISTS:
            return key in labels
        case LabelOperator.DOES_NOT_EXIST:
            return key not in labels
