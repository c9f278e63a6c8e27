from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from rag_runtime.contract.config import HttpSource, SourceConfig
from rag_runtime.ingest.sources.addresses import AddressRefused, HostRules, is_public
from rag_runtime.ingest.sources.http import HttpReader
from tests.unit.sources.readers import listed, reader_of, refusal
from tests.unit.sources.web import Names, Site, running_site


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as running:
        running.page("/", "secret of the loopback")
        yield running


PRIVATE = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",
    "10.96.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:1::1",
]


@pytest.mark.parametrize("address", PRIVATE)
async def test_a_name_with_a_private_address_is_not_connected_to(address: str, site: Site) -> None:
    async with reader_of(site.url("docs.example"), names=Names({"docs.example": address})) as reader:
        error = await refusal(reader)
    assert error.reason == "AddressRefused"
    assert "list the host in the source's allowedHosts if it may be read" in error.message
    assert site.asked == []


@pytest.mark.parametrize("address", PRIVATE)
async def test_a_literal_private_address_is_not_connected_to(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    async with reader_of(f"http://{host}:8080/") as reader:
        assert (await refusal(reader)).reason == "AddressRefused"


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111"])
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1"])
async def test_an_address_in_disguise_is_not_connected_to(host: str, site: Site) -> None:
    async with reader_of(site.url(host)) as reader:
        assert (await refusal(reader)).reason in {"AddressRefused", "Unreachable"}
    assert site.asked == []


@pytest.mark.parametrize(
    "host",
    [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "KUBERNETES.default.svc.",
        "rag-redis.team-a.svc",
        "rag-redis.team-a.svc.example.internal",
        "localhost",
        "printer.local",
        "metadata.google.internal",
    ],
)
async def test_a_name_of_the_cluster_is_refused_even_with_a_public_address(host: str) -> None:
    names = Names({host.rstrip(".").lower(): "93.184.216.34"})
    async with reader_of(f"https://{host}/api/v1/secrets", names=names) as reader:
        error = await refusal(reader)
    assert error.reason == "AddressRefused"
    assert names.asked == []


async def test_a_name_is_resolved_without_the_search_domains_of_the_pod(site: Site) -> None:
    names = Names({"docs.example": "127.0.0.1"})
    async with reader_of(site.url("docs.example"), names=names) as reader:
        await refusal(reader)
    assert names.asked == ["docs.example."]


async def test_a_redirect_to_loopback_is_not_followed(site: Site) -> None:
    async with running_site() as start:
        start.page("/", status=302, Location=site.url("127.0.0.1"))
        async with reader_of(
            start.url("start.example"), names=Names({"start.example": "127.0.0.1"}), allowed=["start.example"]
        ) as reader:
            error = await refusal(reader)
    assert error.reason == "AddressRefused"
    assert f"redirects to http://127.0.0.1:{site.port}/" in error.message
    assert site.asked == []


async def test_a_redirect_to_a_name_with_a_private_address_is_not_followed(site: Site) -> None:
    """The wildcard lets the name pass; what it resolves to is checked when the connection is made."""
    names = Names({"start.example": "127.0.0.1", "inner.wild.example": "127.0.0.1"})
    async with running_site() as start:
        start.page("/", status=307, Location=site.url("inner.wild.example"))
        allowed = [f"start.example:{start.port}", "*.wild.example"]
        async with reader_of(start.url("start.example"), names=names, allowed=allowed) as reader:
            error = await refusal(reader)
    assert error.reason == "AddressRefused"
    assert site.asked == []


async def test_a_name_that_turns_private_between_two_requests_is_refused(site: Site) -> None:
    """Nothing is remembered of an earlier resolution. The wildcard stands for any host that is not listed exactly."""
    names = Names({"a.wild.example": "93.184.216.34"})
    rules = HostRules(["*.wild.example"])
    rules.check_address("a.wild.example", site.port, ipaddress.ip_address("93.184.216.34"))
    names.addresses["a.wild.example"] = "127.0.0.1"
    async with reader_of(site.url("a.wild.example"), names=names, allowed=["*.wild.example"]) as reader:
        assert (await refusal(reader)).reason == "AddressRefused"
    assert site.asked == []


async def test_a_private_host_that_is_listed_may_be_read(site: Site) -> None:
    for entry in ("docs.example", f"docs.example:{site.port}", "DOCS.example."):
        names = Names({"docs.example": "127.0.0.1"})
        async with reader_of(site.url("docs.example"), names=names, allowed=[entry]) as reader:
            [item] = await listed(reader)
            assert (await reader.fetch(item)).body == b"secret of the loopback"


async def test_a_listed_port_opens_no_other(site: Site) -> None:
    names = Names({"docs.example": "127.0.0.1"})
    async with reader_of(site.url("docs.example"), names=names, allowed=["docs.example:1"]) as reader:
        assert (await refusal(reader)).reason == "AddressRefused"


@pytest.mark.parametrize(
    ("host", "passes"), [("a.good.example", True), ("evil.example", False), ("good.example", False)]
)
async def test_a_public_host_that_is_not_listed_is_refused_where_a_list_is(host: str, passes: bool) -> None:
    source = HttpSource(urls=[f"http://{host}/"], allowed_hosts=["*.good.example"])
    names = Names({})
    reader = HttpReader(SourceConfig(name="site", source=source), source, 1000, resolver=names)
    error = await refusal(reader)
    await reader.close()
    assert (error.reason == "Unreachable") is passes
    assert bool(names.asked) is passes


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.com/a", "gopher://example.com/", "/relative"])
def test_other_schemes_are_refused(url: str) -> None:
    from yarl import URL

    with pytest.raises(AddressRefused, match="only http and https"):
        HostRules([]).check_url(URL(url))


async def test_a_url_with_a_password_is_refused_and_the_password_not_told() -> None:
    async with reader_of("http://user:hunter2@example.com/") as reader:
        error = await refusal(reader)
    assert error.reason == "AddressRefused"
    assert "hunter2" not in error.message
