"""Which requests go through a proxy, as the environment says: one reading of it for every client.

aiohttp, httpx and curl each read NO_PROXY in a way of their own; here it is Go's (golang.org/x/net/http/httpproxy),
which people who run clusters know. Where proxies ask for a login, the environment names the files that hold it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from yarl import URL

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
LOGIN = "RAG_PROXY_LOGIN"
"""The variable with the folder of the login. Its value is no secret, and no client but ours reads it."""
USERNAME = "username"
PASSWORD = "password"  # noqa: S105
"""Files in that folder, named as the keys of a Secret of type kubernetes.io/basic-auth."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """Proxies by the scheme of what is asked for, and what is asked for directly.

    `direct`: `*`, a host or domain with all below it, `.domain` for those below it only, an address, a CIDR, each but
    the last with `:port` for that port only. Loopback, and names without a dot, are always direct: no proxy knows them.
    `login` is the folder with the user name and the password that the proxies ask for, None where they ask for none.
    """

    http: str | None = None
    https: str | None = None
    direct: tuple[str, ...] = ()
    login: PurePosixPath | None = None

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Proxies:
        """As HTTP_PROXY, HTTPS_PROXY and NO_PROXY say, or the same in small letters; and RAG_PROXY_LOGIN."""
        http, https, direct = (env.get(name) or env.get(name.lower()) or "" for name in NAMES)
        entries = tuple(part.strip().lower() for part in direct.split(",") if part.strip())
        folder = env.get(LOGIN)
        return cls(_address(http), _address(https), entries, PurePosixPath(folder) if folder else None)

    def for_url(self, url: str | URL) -> str | None:
        """The proxy's address, None for a direct connection."""
        target = URL(url)
        proxy = self.https if target.scheme == "https" else self.http
        host = (target.raw_host or "").rstrip(".").lower()
        if proxy is None or self._is_direct(host, target.port):
            return None
        return proxy

    def _is_direct(self, host: str, port: int | None) -> bool:
        address = _parse(host)
        if (address is None and "." not in host) or (address is not None and address.is_loopback):
            return True
        return any(_matches(entry, host, port, address) for entry in self.direct)


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _matches(entry: str, host: str, port: int | None, address: Address | None) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return address is not None and _within(address, entry)
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit() and (":" not in name or name.endswith("]")):
        if int(wanted) != port:
            return False
        entry = name
    if address is not None:
        return _parse(entry.strip("[]")) == address
    entry = entry.removeprefix("*")
    return host.endswith(entry) if entry.startswith(".") else host == entry or host.endswith(f".{entry}")


def _within(address: Address, cidr: str) -> bool:
    try:
        return address in ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return False


def _parse(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _address(text: str) -> str | None:
    """A proxy's address; without a scheme it is taken for http, as elsewhere."""
    return (text if "://" in text else f"http://{text}") if text else None
