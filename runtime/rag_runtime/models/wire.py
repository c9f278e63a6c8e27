"""Connections to endpoints: whom they trust, and through which proxy they go."""

from __future__ import annotations

import os
import ssl

import aiohttp

from rag_runtime.contract.config import Endpoint
from rag_runtime.models.errors import PermanentError
from rag_runtime.proxies import Proxies


def open_session(endpoint: Endpoint, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
    """A session for one endpoint. Raises PermanentError where its authorities can't be read."""
    connector = aiohttp.TCPConnector(ssl=trust(endpoint) or True)
    return aiohttp.ClientSession(
        connector=connector, proxy=proxy_for(endpoint), timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    )


def proxy_for(endpoint: Endpoint) -> str | None:
    """The proxy that leads to the endpoint, None where it is reached directly."""
    return Proxies.of(os.environ).for_url(endpoint.base_url)


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
