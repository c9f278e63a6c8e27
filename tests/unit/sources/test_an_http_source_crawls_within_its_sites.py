from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from rag_runtime.ingest.sources import SourceUnavailable, http, routes
from tests.unit.sources.readers import listed, reader_of, refusal
from tests.unit.sources.web import Names, Site, running_site

HOST = "docs.example"
NAMES = Names({HOST: "127.0.0.1", "other.example": "127.0.0.1"})


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as running:
        running.page("/", "<a href='/a'>a</a> <a href='b#part'>b</a> <a href='http://elsewhere.example/'>x</a>")
        running.page("/a", "<a href='/deep'>deep</a><a href='/'>home</a>")
        running.page("/b", "leaf b", ETag='"b1"')
        running.page("/deep", "deepest")
        yield running


def paths(site: Site, *names: str) -> list[str]:
    return [site.url(HOST, name) for name in names]


async def test_depth_zero_is_the_pages_themselves(site: Site) -> None:
    async with reader_of(site.url(HOST), site.url(HOST, "/a"), names=NAMES, allowed=[HOST]) as reader:
        assert [item.path for item in await listed(reader)] == paths(site, "/", "/a")


async def test_links_are_followed_to_the_depth_and_each_page_is_asked_for_once(site: Site) -> None:
    for depth, expected in ((1, ["/", "/a", "/b"]), (2, ["/", "/a", "/b", "/deep"]), (5, ["/", "/a", "/b", "/deep"])):
        site.asked.clear()
        async with reader_of(site.url(HOST), names=NAMES, allowed=[HOST], depth=depth) as reader:
            found = []
            async for item in reader.items():
                found.append(item.path)
                await reader.fetch(item)
        assert found == paths(site, *expected)
        assert site.asked == expected


async def test_fetching_later_asks_again(site: Site) -> None:
    async with reader_of(site.url(HOST), names=NAMES, allowed=[HOST], depth=1) as reader:
        items = await listed(reader)
        fetched = await reader.fetch(items[1])
    assert fetched.body.startswith(b"<a href='/deep'>")
    assert fetched.media_type == "text/html"


async def test_an_unchanged_page_is_not_transferred(site: Site) -> None:
    async with reader_of(site.url(HOST, "/b"), names=NAMES, allowed=[HOST]) as reader:
        [first] = await listed(reader)
    assert first.validator == 'etag:"b1"'
    known = {first.path: first.validator}
    async with reader_of(site.url(HOST, "/b"), names=NAMES, allowed=[HOST], known=known) as reader:
        [second] = await listed(reader)
        assert (second.validator, second.size) == (first.validator, None)
        assert (await reader.fetch(second)).body == b"leaf b"


async def test_last_modified_is_the_validator_where_there_is_no_etag(site: Site) -> None:
    site.page("/m", "x", Last_Modified="Wed, 21 Oct 2026 07:28:00 GMT")
    async with reader_of(site.url(HOST, "/m"), names=NAMES, allowed=[HOST]) as reader:
        assert [item.validator for item in await listed(reader)] == ["modified:Wed, 21 Oct 2026 07:28:00 GMT"]


async def test_include_and_exclude_match_the_url_s_path(site: Site) -> None:
    async with reader_of(site.url(HOST), names=NAMES, allowed=[HOST], depth=2, include=["/deep"]) as reader:
        assert [item.path for item in await listed(reader)] == paths(site, "/deep")
    async with reader_of(site.url(HOST), names=NAMES, allowed=[HOST], depth=2, exclude=["/a"]) as reader:
        assert [item.path for item in await listed(reader)] == paths(site, "/", "/b")


async def test_redirects_are_followed_five_times(site: Site) -> None:
    for i in range(7):
        site.page(f"/r{i}", status=301, Location=f"/r{i + 1}")
    site.page("/r7", "arrived")
    async with reader_of(site.url(HOST, "/r2"), names=NAMES, allowed=[HOST]) as reader:
        [item] = await listed(reader)
        assert (item.path, (await reader.fetch(item)).body) == (site.url(HOST, "/r2"), b"arrived")
    async with reader_of(site.url(HOST, "/r1"), names=NAMES, allowed=[HOST]) as reader:
        assert (await refusal(reader)).reason == "TooManyRedirects"


async def test_a_link_that_redirects_to_another_site_is_no_page_of_this_one(site: Site) -> None:
    site.page("/b", status=302, Location=site.url("other.example", "/a"))
    allowed = [HOST, "other.example"]
    async with reader_of(site.url(HOST), names=NAMES, allowed=allowed, depth=1) as reader:
        assert [item.path for item in await listed(reader)] == paths(site, "/", "/a")


async def test_a_page_that_is_too_large_is_refused_while_it_is_read(site: Site) -> None:
    sent = 0

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 100_000_000:
            await response.write(b"x" * 10_000)
            sent += 10_000
        return response

    site.pages["/endless"] = endless
    async with reader_of(site.url(HOST, "/endless"), names=NAMES, allowed=[HOST]) as reader:
        assert (await refusal(reader)).reason == "TooLarge"
    assert sent < 50_000_000


async def test_a_small_transfer_that_unpacks_to_a_large_page_is_too_large(site: Site) -> None:
    site.page("/bomb", gzip.compress(b"\0" * 50_000_000), Content_Encoding="gzip")
    async with reader_of(site.url(HOST, "/bomb"), names=NAMES, allowed=[HOST]) as reader:
        assert (await refusal(reader)).reason in {"TooLarge", "Unreachable"}


async def test_a_linked_page_that_is_gone_is_no_item(site: Site) -> None:
    del site.pages["/b"]
    async with reader_of(site.url(HOST), names=NAMES, allowed=[HOST], depth=1) as reader:
        assert [item.path for item in await listed(reader)] == paths(site, "/", "/a")


async def test_a_given_page_that_is_gone_is_told(site: Site) -> None:
    async with reader_of(site.url(HOST, "/none"), names=NAMES, allowed=[HOST]) as reader:
        error = await refusal(reader)
    assert (error.reason, "remove the URL" in error.message) == ("NotFound", True)


async def test_a_failed_leaf_is_one_dead_letter(site: Site) -> None:
    site.page("/b", status=500)
    async with reader_of(site.url(HOST), names=NAMES, allowed=[HOST], depth=1) as reader:
        assert [item.path for item in await listed(reader)] == paths(site, "/", "/a", "/b")


async def test_a_failed_page_with_links_behind_it_makes_the_listing_incomplete(site: Site) -> None:
    """Otherwise /deep, found through /a at an earlier run, would be taken for deleted."""
    site.page("/a", status=503)
    async with reader_of(site.url(HOST), names=NAMES, allowed=[HOST], depth=2) as reader:
        with pytest.raises(SourceUnavailable, match=r"source 'site': its listing is not complete .*status 503"):
            await listed(reader)


async def test_a_site_without_end_stops_at_the_page_limit(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_PAGES", 20)

    async def more(request: web.BaseRequest) -> web.StreamResponse:
        n = int(request.query.get("n", "0"))
        links = "".join(f"<a href='/?n={n * 3 + i}'>x</a>" for i in range(1, 4))
        return web.Response(text=links, content_type="text/html")

    site.pages.clear()
    site.otherwise = more
    site.asked.clear()
    async with reader_of(site.url(HOST), names=NAMES, allowed=[HOST], depth=99) as reader:
        with pytest.raises(SourceUnavailable, match="more than 20 pages"):
            await listed(reader)
    assert len(set(site.asked)) == 20


async def test_a_listing_has_a_deadline(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "DEADLINE_SECONDS", -1.0)
    async with reader_of(site.url(HOST), names=NAMES, allowed=[HOST]) as reader:
        with pytest.raises(SourceUnavailable, match="takes longer than"):
            await listed(reader)


async def test_a_site_that_does_not_answer_times_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    over = asyncio.Event()

    async def silent(request: web.BaseRequest) -> web.StreamResponse:
        await over.wait()
        return web.Response()

    import aiohttp

    monkeypatch.setattr(routes, "_TIMEOUT", aiohttp.ClientTimeout(total=0.2))
    site.pages["/silent"] = silent
    async with reader_of(site.url(HOST, "/silent"), names=NAMES, allowed=[HOST]) as reader:
        assert (await refusal(reader)).reason == "TimedOut"
    over.set()


async def test_a_host_that_is_down_is_unreachable() -> None:
    async with reader_of("http://docs.example:1/", names=NAMES, allowed=[HOST]) as reader:
        assert (await refusal(reader)).reason == "Unreachable"


async def test_a_url_that_is_none_stops_the_source() -> None:
    async with reader_of("http://[half", names=NAMES) as reader:
        with pytest.raises(SourceUnavailable, match="correct urls"):
            await listed(reader)
