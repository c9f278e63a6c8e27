"""Which hosts and addresses a tenant's http source may reach: none inside the cluster or the network around it.

Names are checked before a request, addresses when a connection is made, in the resolver whose answer is connected to: a
name that resolves to something else a moment later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_CLUSTER_SUFFIXES = (".svc", ".local", ".localhost", ".internal", ".intranet", ".lan", ".home.arpa")
"""Kubernetes' service names and what RFC 6761, 6762, 8375 and ICANN's .internal reserve for private use."""
_CLUSTER_INFIX = ".svc."
_REFUSED = [
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
        *("192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
        *("::/127", "64:ff9b:1::/48", "100::/64", "2001:db8::/32", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/9"),
        *("ff00::/8", "2001::/23", "168.63.129.16/32"),
    )
]
"""IANA's special-purpose registries for IPv4 and IPv6, without what is globally reachable; 2001::/23 holds Teredo;
168.63.129.16 is public by number and the host's own agent on Azure."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


class AddressRefused(OSError):  # noqa: N818  it names the finding
    """The host or its address is one that a source may not reach. The text is the reason, without a mend.

    An OSError, so that aiohttp's connector takes it for a failed resolution and passes it on as the cause of its own.
    """


class HostRules:
    """What one source may reach, by its `allowed_hosts`.

    Entries are `host` or `host:port` (international names in their xn-- form), exact, or `*.domain`. If there are any,
    nothing else may be reached. Only an exact entry opens private addresses: under a wildcard anyone with a name in the
    domain could point it at the cluster.
    """

    def __init__(self, allowed_hosts: Sequence[str]) -> None:
        self._allowed = {entry.lower().rstrip(".") for entry in allowed_hosts}

    def is_exact(self, host: str, port: int) -> bool:
        """Whether the host is listed by its full name, with this port or without any."""
        bare = host.strip("[]").rstrip(".").lower()
        bracketed = f"[{bare}]" if ":" in bare else bare
        return not self._allowed.isdisjoint({bare, bracketed, f"{bracketed}:{port}"})

    def check_url(self, url: URL) -> None:
        """Raises AddressRefused for another scheme than http(s), credentials in the URL, or a host that may not be."""
        host, port = url.raw_host, url.port
        if url.scheme not in {"http", "https"} or not host or port is None:
            raise AddressRefused("only http and https URLs with a host may be read")
        if url.user is not None or url.password is not None:
            raise AddressRefused("a URL with credentials in it may not be read")
        if self.is_exact(host, port):
            return
        if self._allowed and not self._is_listed(host):
            raise AddressRefused(f"{host} is not among the source's allowedHosts")
        address = parse_address(host)
        if address is not None:
            self.check_address(host, port, address)
        elif is_cluster_name(host):
            raise AddressRefused(f"{host} is a name inside the cluster or its network")

    def check_address(self, host: str, port: int, address: Address) -> None:
        """Raises AddressRefused for an address that isn't public, unless the host is listed by its full name."""
        if not self.is_exact(host, port) and not is_public(address):
            raise AddressRefused(f"{host} has the address {address}, which is inside the cluster or its network")

    def _is_listed(self, host: str) -> bool:
        name = host.rstrip(".").lower()
        return any(entry.startswith("*.") and name.endswith(entry[1:]) for entry in self._allowed)


class GuardedResolver(AbstractResolver):
    """Resolves names for the connector and refuses what resolves to an address that may not be reached."""

    def __init__(self, inner: AbstractResolver, rules: HostRules) -> None:
        self._inner = inner
        self._rules = rules

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Every address of the host. Raises AddressRefused if one of them may not be reached."""
        # With a final dot no search domain of the pod is tried: "kubernetes.default" stays a name that doesn't exist.
        name = host if self._rules.is_exact(host, port) or host.endswith(".") else f"{host}."
        results = await self._inner.resolve(name, port, family)
        for result in results:
            address = parse_address(result["host"])
            if address is None:
                raise AddressRefused(f"{host} has no address that can be checked")
            self._rules.check_address(host, port, address)
            result["hostname"] = host  # what TLS verifies, without the dot
        return results

    async def close(self) -> None:
        """Close the resolver behind."""
        await self._inner.close()


def parse_address(host: str) -> Address | None:
    """The address that a host states literally, None for a name. A scope (fe80::1%eth0) is left out."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet; an IPv6 one that embeds an IPv4 one is judged by that too."""
    if any(address.version == network.version and address in network for network in _REFUSED):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    embedded = address.ipv4_mapped or address.sixtofour
    if address in _NAT64 or address in _COMPATIBLE:
        embedded = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return embedded is None or is_public(embedded)


def is_cluster_name(host: str) -> bool:
    """Whether a name is one of a cluster, or of a private network: without a dot, or under such a suffix."""
    name = host.rstrip(".").lower()
    is_kubernetes = name.startswith("kubernetes.default")
    return "." not in name or name.endswith(_CLUSTER_SUFFIXES) or _CLUSTER_INFIX in name or is_kubernetes
