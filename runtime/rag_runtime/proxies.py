"""The login that proxies ask for: read from its files at each call, told to the proxy and to nobody else.

It stands in headers of our own making rather than in a proxy's address: addresses end up in errors and logs, and
aiohttp would write it as Latin-1, where UTF-8 is what RFC 7617 §2.1 knows a name for.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from yarl import URL

from rag_runtime.contract.proxies import PASSWORD, USERNAME, Proxies


class LoginUnreadable(Exception):  # noqa: N818  it names the finding
    """The login can't be read, or is none. The text names the file and the mend."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Headers for the proxy: in a plain `request`, which it passes on, or when asked for a `tunnel`."""

    request: dict[str, str] = field(default_factory=dict, repr=False)
    tunnel: dict[str, str] = field(default_factory=dict, repr=False)


def pass_for(proxies: Proxies, url: str | URL) -> Pass:
    """What the proxy before `url` wants to see now; nothing where there is none. Raises LoginUnreadable."""
    folder, target = proxies.login, URL(url)
    if folder is None or proxies.for_url(target) is None:
        return Pass()
    header = {"Proxy-Authorization": f"Basic {b64encode(':'.join(_login(folder)).encode()).decode()}"}
    return Pass(tunnel=header) if target.scheme == "https" else Pass(request=header)


def address_with_login(proxies: Proxies, url: str | URL) -> str | None:
    """The proxy before `url` with the login of now in its address, for clients that take it no other way.

    Raises LoginUnreadable.
    """
    proxy, folder = proxies.for_url(url), proxies.login
    if proxy is None or folder is None:
        return proxy
    scheme, _, place = proxy.partition("://")
    username, password = (quote(part, safe="") for part in _login(folder))
    return f"{scheme}://{username}:{password}@{place}"


def refusal(proxies: Proxies, url: str | URL) -> str:
    """The sentence for a proxy before `url` that answers 407; empty where there is none."""
    proxy, folder = proxies.for_url(url), proxies.login
    if proxy is None:
        return ""
    place = URL(proxy).with_user(None).authority
    if folder is None:
        return (
            f"the proxy {place} asks for a login (status 407); name a Secret with it in proxy.secretName of the "
            "operator's chart"
        )
    return (
        f"the proxy {place} refuses the login (status 407); correct {USERNAME} and {PASSWORD} in the Secret that "
        f"{folder} comes from"
    )


def _login(folder: PurePosixPath) -> tuple[str, str]:
    username, password = (_word(folder / name) for name in (USERNAME, PASSWORD))
    if ":" in username:
        raise LoginUnreadable(
            f"the proxy's login {folder / USERNAME} has a colon, which a user name can't have (RFC 7617); correct the "
            "Secret that it comes from"
        )
    return username, password


def _word(file: PurePosixPath) -> str:
    """What the file holds, without the end of line that editors add."""
    try:
        word = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        problem = "it is no UTF-8"  # the error's own text quotes the bytes
    except OSError as error:
        problem = error.strerror or type(error).__name__
    else:
        if word:
            return word
        problem = "it is empty"
    raise LoginUnreadable(f"the proxy's login {file} can't be read ({problem}); check the Secret that it comes from")
