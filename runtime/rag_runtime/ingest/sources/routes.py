"""How a page is asked for: directly, or through a proxy that is told an address which was checked (ADR 0008).

A proxy connects from where it stands, often inside the network that a source may not reach. Were it given a name, it
would resolve it by itself, unchecked. So the name is resolved and checked here as without a proxy, and the tunnel is
asked for by that very address; TLS inside it still verifies the name. Only a host that is listed by its full name, all
of whose addresses are allowed, is left to the proxy's resolution.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from pathlib import PurePath

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from rag_runtime.contract.proxies import Proxies
from rag_runtime.ingest.sources.addresses import AddressRefused, GuardedResolver, HostRules, parse_address
from rag_runtime.proxies import Pass, pass_for, refusal

_TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=10, sock_read=30)
_HEADERS = {"User-Agent": "rag-operator", "Accept": "text/html, text/*;q=0.9, application/pdf;q=0.9, */*;q=0.5"}


class Untrusting(Exception):  # noqa: N818  it names the finding
    """The certificates that are to be trusted can't be read."""


class NotResolved(Exception):  # noqa: N818
    """A name can't be looked up here, and may not be left to the proxy."""


@dataclass(frozen=True, slots=True)
class Route:
    """What a request is made of: `host` is sent and verified where `url` has an address in its place, `login` is for
    the proxy."""

    session: aiohttp.ClientSession
    url: URL
    proxy: str | None = None
    host: str | None = None
    login: Pass = field(default_factory=Pass)

    @property
    def is_passed_on(self) -> bool:
        """Whether a proxy reads the request and may answer in the server's place, which it can't in a tunnel."""
        return self.proxy is not None and self.url.scheme == "http"

    @property
    def headers(self) -> dict[str, str]:
        """What the server is told about its name, and a proxy that passes the request on about us."""
        port = "" if self.url.is_default_port() else f":{self.url.port}"
        named = {"Host": f"{self.host}{port}"} if self.host else {}
        return named | self.login.request


class Routes:
    """Connections of one source."""

    def __init__(
        self, rules: HostRules, proxies: Proxies, ca_file: PurePath | None, resolver: AbstractResolver | None
    ) -> None:
        self._rules = rules
        self._proxies = proxies
        self._ca_file = ca_file
        self._resolver = GuardedResolver(resolver or aiohttp.ThreadedResolver(), rules)
        self._direct: aiohttp.ClientSession | None = None
        self._proxied: aiohttp.ClientSession | None = None

    async def to(self, url: URL) -> Route:
        """The way to a URL that its rules admit. Raises AddressRefused, NotResolved, Untrusting, LoginUnreadable."""
        proxy = self._proxies.for_url(url)
        if proxy is None:
            return Route(self._directly(), url)
        host, port = url.raw_host or "", url.port or 0
        if self._rules.is_exact(host, port) or parse_address(host) is not None:
            return Route(self._through(), url, proxy, login=pass_for(self._proxies, url))
        if url.scheme != "https":
            raise AddressRefused(f"a proxy would resolve {host} by itself, since plain http can't be tunnelled")
        try:
            found = await self._resolver.resolve(host, port, socket.AF_UNSPEC)
        except AddressRefused:
            raise
        except OSError as error:
            raise NotResolved(
                f"{host} can't be resolved from here ({error.strerror or error}); list the host in the source's "
                "allowedHosts by its full name, and the proxy resolves it"
            ) from error
        login = pass_for(self._proxies, url)
        return Route(self._through(), url.with_host(found[0]["host"]), proxy, host, login)

    def login_refused(self, url: URL) -> str:
        """What a status of 407 means; empty where no proxy leads to the URL."""
        return refusal(self._proxies, url)

    async def close(self) -> None:
        """Close the connections."""
        for session in (self._direct, self._proxied):
            if session is not None:
                await session.close()

    def _directly(self) -> aiohttp.ClientSession:
        if self._direct is None:
            # No cache of names: what was checked is what is connected to, every time.
            connector = aiohttp.TCPConnector(
                resolver=self._resolver, use_dns_cache=False, limit=4, ssl=self._trust() or True
            )
            self._direct = _session(connector)
        return self._direct

    def _through(self) -> aiohttp.ClientSession:
        """Connects to the proxy only, which whoever runs the operator named."""
        if self._proxied is None:
            self._proxied = _session(aiohttp.TCPConnector(limit=4, ssl=self._trust() or True))
        return self._proxied

    def _trust(self) -> ssl.SSLContext | None:
        if self._ca_file is None:
            return None
        context = ssl.create_default_context()
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # private authorities seldom keep all of RFC 5280
        try:
            context.load_verify_locations(cafile=str(self._ca_file))
        except (OSError, ValueError) as error:
            raise Untrusting(
                f"the certificates {self._ca_file} can't be read ({error}); check the ConfigMap that they come from"
            ) from error
        return context


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=_TIMEOUT, headers=_HEADERS
    )
