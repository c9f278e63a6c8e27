"""With a proxy on the way no source reaches more than without one: names are resolved and checked on this side."""

from __future__ import annotations

import logging
import ssl
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from rag_runtime.contract.proxies import LOGIN
from rag_runtime.ingest.sources import SourceUnavailable
from tests.cluster.certificates import Authority
from tests.support.proxy import ForwardProxy, forward_proxy
from tests.unit.sources.readers import listed, reader_of, refusal
from tests.unit.sources.web import Names, Site, running_site

PUBLIC = "93.184.216.34"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("authority") / "pki")
    made.create()
    made.sign("server", "docs", hosts=["docs.example", "other.example", "127.0.0.1"])
    return made


@pytest_asyncio.fixture
async def site(authority: Authority) -> AsyncIterator[Site]:
    """Over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.crt("server"), authority.key("server"))
    async with running_site(context) as running:
        running.page("/", "the handbook")
        yield running


@pytest_asyncio.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ForwardProxy]:
    """It stands where the public address leads to the site, and where every name resolves to loopback."""
    async with forward_proxy({PUBLIC: "127.0.0.1", "docs.example": "127.0.0.1"}) as running:
        monkeypatch.setenv("HTTPS_PROXY", running.url)
        monkeypatch.setenv("HTTP_PROXY", running.url)
        yield running


async def test_the_proxy_is_asked_for_the_address_that_was_checked_and_the_site_for_its_name(
    site: Site, proxy: ForwardProxy, authority: Authority
) -> None:
    names = Names({"docs.example": PUBLIC})
    async with reader_of(site.url("docs.example"), names=names, ca=authority.crt("ca")) as reader:
        [item] = await listed(reader)
        assert (await reader.fetch(item)).body == b"the handbook"
    assert proxy.asked == [f"CONNECT {PUBLIC}:{site.port}"]
    assert site.hosts == [f"docs.example:{site.port}"]
    assert names.asked == ["docs.example."]


async def test_tls_inside_the_tunnel_verifies_the_name(site: Site, proxy: ForwardProxy, authority: Authority) -> None:
    names = Names({"elsewhere.example": PUBLIC})
    async with reader_of(site.url("elsewhere.example"), names=names, ca=authority.crt("ca")) as reader:
        assert (await refusal(reader)).reason == "Unreachable"
    assert site.asked == []


@pytest.mark.parametrize("address", ["127.0.0.1", "10.96.0.1", "169.254.169.254", "fd00:ec2::254"])
async def test_a_name_with_a_private_address_never_reaches_the_proxy(
    address: str, site: Site, proxy: ForwardProxy
) -> None:
    """The proxy would have resolved the same name to loopback, and led there."""
    async with reader_of(site.url("docs.example"), names=Names({"docs.example": address})) as reader:
        assert (await refusal(reader)).reason == "AddressRefused"
    assert proxy.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "kubernetes.default.svc", "rag.team.svc.cluster.local"])
async def test_a_literal_private_address_or_a_name_of_the_cluster_never_reaches_the_proxy(
    host: str, site: Site, proxy: ForwardProxy
) -> None:
    async with reader_of(site.url(host)) as reader:
        assert (await refusal(reader)).reason == "AddressRefused"
    assert proxy.asked == []


async def test_a_redirect_to_a_private_address_never_reaches_the_proxy(
    site: Site, proxy: ForwardProxy, authority: Authority
) -> None:
    site.page("/", status=302, Location=site.url("other.example"))
    names = Names({"docs.example": PUBLIC, "other.example": "10.0.0.1"})
    async with reader_of(site.url("docs.example"), names=names, ca=authority.crt("ca")) as reader:
        assert (await refusal(reader)).reason == "AddressRefused"
    assert proxy.asked == [f"CONNECT {PUBLIC}:{site.port}"]


async def test_plain_http_is_refused_since_the_proxy_would_resolve_the_name(proxy: ForwardProxy) -> None:
    names = Names({"docs.example": PUBLIC})
    async with running_site() as plain, reader_of(plain.url("docs.example"), names=names) as reader:
        error = await refusal(reader)
        assert error.reason == "AddressRefused"
        assert "a proxy would resolve docs.example by itself" in error.message
        assert "list the host in the source's allowedHosts" in error.message
        assert proxy.asked == plain.asked == []


async def test_a_host_listed_by_its_full_name_is_left_to_the_proxy(
    site: Site, proxy: ForwardProxy, authority: Authority
) -> None:
    """All of its addresses are allowed, so nothing is left to check; and here nobody else knows the name."""
    names, allowed = Names({}), ["docs.example"]
    async with reader_of(site.url("docs.example"), names=names, allowed=allowed, ca=authority.crt("ca")) as reader:
        assert len(await listed(reader)) == 1
    async with running_site() as plain, reader_of(plain.url("docs.example"), names=names, allowed=allowed) as reader:
        plain.page("/", "plain")
        [item] = await listed(reader)
        assert (await reader.fetch(item)).body == b"plain"
    assert proxy.asked == [f"CONNECT docs.example:{site.port}", f"GET http://docs.example:{plain.port}/"]
    assert names.asked == []


async def test_a_name_that_only_the_proxy_knows_is_told_with_the_mend(site: Site, proxy: ForwardProxy) -> None:
    async with reader_of(site.url("docs.example"), names=Names({})) as reader:
        error = await refusal(reader)
    assert error.reason == "Unreachable"
    assert "list the host in the source's allowedHosts by its full name, and the proxy resolves it" in error.message
    assert proxy.asked == []


async def test_a_proxy_that_refuses_is_named(site: Site, proxy: ForwardProxy) -> None:
    proxy.refuses = True
    async with reader_of(site.url("docs.example"), names=Names({"docs.example": PUBLIC})) as reader:
        error = await refusal(reader)
    assert error.reason == "Unreachable"
    assert "the proxy refuses to lead there (status 403)" in error.message


USER, PASSWORD = "rag-bot", "p@s:s/w%rd =ü"
ALLOWED = ["docs.example"]


@pytest.fixture
def login(proxy: ForwardProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the login that the proxy demands."""
    proxy.login = f"{USER}:{PASSWORD}"
    folder = tmp_path / "corp-proxy"
    folder.mkdir()
    (folder / "username").write_text(USER)
    (folder / "password").write_text(PASSWORD)
    monkeypatch.setenv(LOGIN, str(folder))
    return folder


async def test_a_login_is_told_to_the_proxy_and_to_no_site_and_read_at_each_page(
    site: Site, proxy: ForwardProxy, login: Path, authority: Authority
) -> None:
    names = Names({"docs.example": PUBLIC})
    async with reader_of(site.url("docs.example"), names=names, ca=authority.crt("ca")) as reader:
        [item] = await listed(reader)
        assert (await reader.fetch(item)).body == b"the handbook"
        proxy.login = f"{USER}:another"
        (login / "password").write_text("another\n")
        [item] = await listed(reader)
        assert (await reader.fetch(item)).body == b"the handbook"
    assert proxy.asked == [f"CONNECT {PUBLIC}:{site.port}"] * 2
    async with running_site() as plain, reader_of(plain.url("docs.example"), allowed=ALLOWED) as reader:
        plain.page("/", "plain")
        assert len(await listed(reader)) == 1
        assert (plain.asked, plain.proxy_logins, site.proxy_logins) == (["/"], [], [])


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_proxy_that_takes_no_login_of_ours_stops_the_source_and_is_named_without_the_login(
    scheme: str, proxy: ForwardProxy, login: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    proxy.login = "another:one"
    url = f"{scheme}://docs.example/"
    async with reader_of(url, names=Names({"docs.example": PUBLIC}), allowed=ALLOWED) as reader:
        with pytest.raises(SourceUnavailable) as caught:
            await listed(reader)
    assert str(caught.value) == (
        f"source 'site': the proxy 127.0.0.1:{proxy.port} refuses the login (status 407); correct username and "
        f"password in the Secret that {login} comes from"
    )
    said = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert PASSWORD not in said
    assert b64encode(f"{USER}:{PASSWORD}".encode()).decode() not in said
    monkeypatch.delenv(LOGIN)
    async with reader_of(url, allowed=ALLOWED) as reader:
        with pytest.raises(SourceUnavailable, match=r"asks for a login .* proxy\.secretName"):
            await listed(reader)


async def test_a_login_that_cannot_be_read_stops_the_source(proxy: ForwardProxy, login: Path) -> None:
    (login / "password").unlink()
    async with reader_of("https://docs.example/", allowed=ALLOWED) as reader:
        with pytest.raises(SourceUnavailable, match=r"password can't be read .*; check the Secret that it comes from"):
            await listed(reader)
    assert proxy.asked == []


async def test_what_no_proxy_names_is_reached_directly_and_checked_as_ever(
    site: Site, proxy: ForwardProxy, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", ".example")
    names = Names({"docs.example": "127.0.0.1"})
    async with reader_of(site.url("docs.example"), names=names, ca=authority.crt("ca")) as reader:
        assert (await refusal(reader)).reason == "AddressRefused"
    allowed = ["docs.example"]
    async with reader_of(site.url("docs.example"), names=names, allowed=allowed, ca=authority.crt("ca")) as reader:
        [item] = await listed(reader)
        assert (await reader.fetch(item)).body == b"the handbook"
    assert proxy.asked == []


async def test_a_private_authority_is_trusted_only_where_it_is_named(site: Site, authority: Authority) -> None:
    names, allowed = Names({"docs.example": "127.0.0.1"}), ["docs.example"]
    async with reader_of(site.url("docs.example"), names=names, allowed=allowed) as reader:
        error = await refusal(reader)
    assert "name its authority in the pipeline's ingestion.sources.caRef" in error.message
    assert site.asked == []
    async with reader_of(site.url("docs.example"), names=names, allowed=allowed, ca=authority.crt("ca")) as reader:
        [item] = await listed(reader)
        assert (await reader.fetch(item)).body == b"the handbook"


async def test_authorities_that_cannot_be_read_stop_the_source_and_delete_nothing(tmp_path: Path) -> None:
    async with reader_of("https://docs.example/", ca=tmp_path / "ca.crt") as reader:
        with pytest.raises(SourceUnavailable, match=r"ca\.crt can't be read.*check the ConfigMap"):
            await listed(reader)
