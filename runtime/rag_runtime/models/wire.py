"""Connections to endpoints: whom they trust, through which proxy they go, and with which login."""

from __future__ import annotations

import os
import ssl

import aiohttp

from rag_runtime.contract.config import Endpoint
from rag_runtime.contract.proxies import LOGIN, Proxies
from rag_runtime.models.errors import PermanentError
from rag_runtime.proxies import LoginUnreadable, Pass, address_with_login, pass_for, refusal

LOGIN_WANTED = 407
"""Proxy Authentication Required (RFC 9110 §15.5.8)."""


def open_session(endpoint: Endpoint, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
    """A session for one endpoint. Raises PermanentError where its authorities can't be read."""
    connector = aiohttp.TCPConnector(ssl=trust(endpoint) or True)
    return aiohttp.ClientSession(
        connector=connector, proxy=proxy_for(endpoint), timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    )


def proxy_for(endpoint: Endpoint) -> str | None:
    """The proxy that leads to the endpoint, None where it is reached directly."""
    return Proxies.of(os.environ).for_url(endpoint.base_url)


def proxy_and_login_for(endpoint: Endpoint) -> str | None:
    """The same with the login of now within the address, for a client that tells it to nobody else.

    Raises PermanentError where the login can't be read.
    """
    try:
        return address_with_login(Proxies.of(os.environ), endpoint.base_url)
    except LoginUnreadable as error:
        raise PermanentError(str(error)) from error


def login_for(endpoint: Endpoint) -> Pass:
    """What the proxy on the way wants to see now. Raises PermanentError where it can't be read."""
    if not os.environ.get(LOGIN):  # for each question; the rest of the environment costs over ten times this
        return Pass()
    try:
        return pass_for(Proxies.of(os.environ), endpoint.base_url)
    except LoginUnreadable as error:
        raise PermanentError(str(error)) from error


def login_refused(endpoint: Endpoint) -> str:
    """What a status of 407 means; empty where no proxy leads to the endpoint."""
    return refusal(Proxies.of(os.environ), endpoint.base_url)


def wants_login(error: BaseException) -> bool:
    """Whether a proxy gave no tunnel without another login. The `openai` client's library says so by its text only."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return error.status == LOGIN_WANTED
    cause = error.__cause__
    return type(cause).__name__ == "ProxyError" and str(cause).startswith(f"{LOGIN_WANTED} ")


def trust(endpoint: Endpoint) -> ssl.SSLContext | None:
    """What the endpoint's certificate is checked against: its own authorities and no others; None: the public ones.

    Raises PermanentError naming the file.
    """
    file = endpoint.ca_file
    if file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=str(file))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise PermanentError(
            f"the certificates {file} can't be read ({error}); check the ConfigMap that they come from"
        ) from error
    return context


def distrusted(error: BaseException | None) -> str:
    """The sentence where a certificate was not trusted somewhere behind `error`; nothing else."""
    while error is not None:
        # aiohttp's own error is one too, without a reason: that is in the one behind it.
        reason = getattr(error, "verify_message", "")
        if isinstance(error, ssl.SSLCertVerificationError) and reason:
            return f"its certificate is not trusted ({reason}); name its authority in the endpoint's caRef"
        error = error.__cause__ or error.__context__
    return ""
