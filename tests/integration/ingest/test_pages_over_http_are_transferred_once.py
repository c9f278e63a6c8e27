"""A crawled source through the whole of sync, over real HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from rag_runtime.contract.config import HttpSource, SourceConfig
from tests.integration.ingest.harness import Desk


@dataclass
class Site:
    """Pages by path; `asked` counts requests, `sent` those that were answered with a body."""

    pages: dict[str, str] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    url: str = ""
    status: int = 200

    async def answer(self, request: web.Request) -> web.Response:
        """A page with its ETag, 304, or the failure in `status`."""
        self.asked[request.path] += 1
        if self.status != 200 or request.path not in self.pages:
            return web.Response(status=404 if self.status == 200 else self.status)
        tag = f'"{hash(self.pages[request.path])}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        self.sent[request.path] += 1
        return web.Response(text=self.pages[request.path], content_type="text/html", headers={"ETag": tag})


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A web site on loopback."""
    site = Site({"/": "<h1>Start</h1><a href='/one'>1</a> <a href='/two'>2</a>", "/one": "<p>One.", "/two": "<p>Two."})
    application = web.Application()
    application.router.add_get("/{path:.*}", site.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    host, port = runner.addresses[0][:2]
    site.url = f"http://{host}:{port}/"
    yield site
    await runner.cleanup()


def _crawl(desk: Desk, site: Site, depth: int = 1) -> None:
    source = HttpSource(urls=[site.url], depth=depth, allowed_hosts=["127.0.0.1"])
    desk.configure(sources=[SourceConfig(name="site", source=source)])


async def test_each_page_is_asked_for_once_and_unchanged_ones_are_not_sent_again(desk: Desk, site: Site) -> None:
    _crawl(desk, site)
    assert (await desk.run())["added"] == 3
    assert site.asked == {"/": 1, "/one": 1, "/two": 1}
    again = await desk.run()
    assert (again["unchanged"], again["parsed"], again["embedded"]) == (3, 0, 0)
    assert site.sent["/one"] == site.sent["/two"] == 1
    site.pages["/one"] = "<p>Changed."
    changed = await desk.run()
    assert (changed["updated"], changed["unchanged"]) == (1, 2)


async def test_a_page_that_is_gone_is_deleted_and_a_site_that_is_down_is_not(desk: Desk, site: Site) -> None:
    _crawl(desk, site)
    await desk.run()
    site.status = 503
    await desk.run(expected=1)
    assert len(desk.chunks()) == 3
    site.status = 200
    del site.pages["/two"]
    assert (await desk.run())["deleted"] == 1
    assert desk.letters() == {}
