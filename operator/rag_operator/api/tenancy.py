"""Where the tenants of a pipeline may live, in the words of the Gateway API's allowedRoutes."""

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from rag_operator.api.common import Checked, Invariant, Model
from rag_operator.api.pod import LabelSelector


class NamespacesFrom(StrEnum):
    """Which namespaces beside the pipeline's own."""

    SAME = "Same"
    SELECTOR = "Selector"
    ALL = "All"


class TenantNamespaces(Checked):
    """Namespaces that tenants may live in. The pipeline's own is always one of them."""

    from_: NamespacesFrom = Field(default=NamespacesFrom.SAME, alias="from")
    """Same: no other than the pipeline's own; Selector: also those that selector chooses; All: every namespace."""
    selector: LabelSelector | None = None
    """Chooses namespaces by their labels, with from: Selector; kubernetes.io/metadata.name is a namespace's name. One
    that is no longer chosen has its tenants closed at once; their data stay."""

    invariants: ClassVar = (
        Invariant(
            "(has(self.from) && self.from == 'Selector') == has(self.selector)",
            "from: Selector needs selector, and Same and All have none: add selector, or leave it out",
            lambda one: (one.from_ is NamespacesFrom.SELECTOR) == (one.selector is not None),
        ),
    )


class Tenancy(Model):
    """The tenants of a pipeline."""

    namespaces: TenantNamespaces = TenantNamespaces()
    """Where they may live. Whoever may create a RagTenant in such a namespace may use this pipeline."""
