"""Who may reach the query pods, in the words of Kubernetes' NetworkPolicy."""

from typing import Annotated, ClassVar

from pydantic import Field

from rag_operator.api.common import Checked, Invariant, Model
from rag_operator.api.formats import Cidr
from rag_operator.api.pod import LabelSelector


class IPBlock(Model):
    """A range of addresses outside of the cluster."""

    cidr: Cidr
    """The range, for instance 10.20.0.0/16."""
    except_: Annotated[tuple[Cidr, ...], Field(max_length=16)] = Field(default=(), alias="except")
    """Ranges within it that are left out."""


class Peer(Checked):
    """Pods, namespaces or a range of addresses. podSelector and namespaceSelector together: such pods of such
    namespaces; podSelector alone: of the pipeline's own namespace."""

    pod_selector: LabelSelector | None = None
    """Pods with these labels."""
    namespace_selector: LabelSelector | None = None
    """Pods of namespaces with these labels; kubernetes.io/metadata.name is a namespace's name."""
    ip_block: IPBlock | None = Field(default=None, alias="ipBlock")
    """Addresses outside of the cluster; excludes the selectors."""

    invariants: ClassVar = (
        Invariant(
            "has(self.ipBlock) != (has(self.podSelector) || has(self.namespaceSelector))",
            "give either ipBlock, or podSelector, namespaceSelector or both",
            lambda peer: (peer.ip_block is not None) != bool(peer.pod_selector or peer.namespace_selector),
        ),
    )


class NetworkPolicy(Model):
    """What reaches the pods of a pipeline and what they reach, where the cluster's network enforces NetworkPolicies."""

    enabled: bool = True
    """Whether the operator makes NetworkPolicies. They only add to what other policies of the namespace allow."""
    allow_from: Annotated[tuple[Peer, ...], Field(min_length=1, max_length=32)] | None = None
    """Who may call the query pods: clients, an ingress controller, Prometheus. Absent: every pod of the pipeline's
    namespace."""


class Access(Model):
    """Who may call the query service."""

    network_policy: NetworkPolicy = NetworkPolicy()
    """What reaches the pods, and what they reach."""
