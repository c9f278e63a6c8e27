"""Pages by URL, and what they link to within their hosts."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable

from aiohttp.abc import AbstractResolver
from yarl import URL

from rag_runtime.contract.config import HttpSource, SourceConfig
from rag_runtime.contract.proxies import Proxies
from rag_runtime.ingest.parse.base import ParseError, UnsupportedMedia
from rag_runtime.ingest.parse.detect import Kind, kind_of
from rag_runtime.ingest.parse.sandbox import Sandbox
from rag_runtime.ingest.sources.addresses import HostRules
from rag_runtime.ingest.sources.base import Fetched, Item, ItemError, SourceUnavailable
from rag_runtime.ingest.sources.globs import selector
from rag_runtime.ingest.sources.page import Page, PageClient
from rag_runtime.ingest.sources.routes import Routes

MAX_PAGES = 10_000
DEADLINE_SECONDS = 3600.0
"""For one listing, what its reader does between pages included."""
_HIDES_LINKS = frozenset({"HttpStatus", "Unreachable", "TimedOut", "TooLarge"})
"""Failures behind which links may lie that an earlier listing followed."""


class HttpReader:
    """Crawls breadth first, one request at a time, in the order of the links, so that listings are stable."""

    def __init__(
        self,
        config: SourceConfig,
        source: HttpSource,
        max_bytes: int,
        sandbox: Sandbox | None = None,
        known: Callable[[str], str | None] = lambda path: None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """As `factory.open_source`; `resolver` replaces the machine's name resolution."""
        self.name = config.name
        self._source = source
        rules = HostRules(source.allowed_hosts)
        routes = Routes(rules, Proxies.of(os.environ), source.ca_file, resolver)
        self._client = PageClient(config.name, rules, max_bytes, routes)
        self._known = known
        self._takes = selector(config.include, config.exclude)
        self._follows = selector((), config.exclude)
        self._sandbox = sandbox
        self._own_sandbox: Sandbox | None = None
        self._failed: dict[str, ItemError] = {}
        self._last: tuple[str, Page] | None = None

    async def items(self) -> AsyncGenerator[Item, None]:
        """The pages. include/exclude are matched against a URL's path; what `exclude` matches is not followed either.

        A linked page that is gone (404, 410), or that redirects to another site, is no item; one that fails otherwise
        is. Raises SourceUnavailable at the end when a failed page, the page limit or the deadline hid links.
        """
        crawl = _Crawl(self._urls(), self._follows)
        end = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        while (step := crawl.next()) is not None:
            if asyncio.get_running_loop().time() > end:
                crawl.hide(f"listing it takes longer than {DEADLINE_SECONDS:.0f} s")
                break
            url, level = step
            if (item := await self._visit(crawl, url, level)) is not None and self._takes(url.path):
                yield item
        if crawl.hidden:
            raise SourceUnavailable(
                f"source {self.name!r}: its listing is not complete ({crawl.hidden}), so nothing of it is deleted; "
                "mend that, or narrow the source by depth or exclude"
            )

    async def fetch(self, item: Item) -> Fetched:
        """The page; for the item that `items` gave last without a request. Raises ItemError as `PageClient.get`."""
        if item.path in self._failed:
            raise self._failed[item.path]
        if self._last is not None and self._last[0] == item.path and self._last[1].body is not None:
            return Fetched(self._last[1].body, self._last[1].media_type)
        page = await self._client.get(URL(item.path))
        return Fetched(page.body or b"", page.media_type)

    async def close(self) -> None:
        """Close the connections, and end the parsers' process if it is this source's own."""
        await self._client.close()
        if self._own_sandbox is not None:
            await self._own_sandbox.close()

    def _urls(self) -> list[URL]:
        try:
            return [URL(url).with_fragment(None) for url in self._source.urls]
        except ValueError as error:
            raise SourceUnavailable(f"source {self.name!r}: a URL can't be read ({error}); correct urls") from error

    async def _visit(self, crawl: _Crawl, url: URL, level: int) -> Item | None:
        """Get a page, note its links, and make its item; None when it is none of this source's."""
        path = str(url)
        leaf = level >= self._source.depth
        try:
            page = await self._client.get(url, self._known(path) if leaf else None)
        except ItemError as error:
            if level > 0 and error.reason == "NotFound":
                return None
            if not leaf and error.reason in _HIDES_LINKS:
                crawl.hide(error.message)
            self._failed[path] = error
            return Item(path, path, None, None)
        if not crawl.arrived(url, page.url, level):
            return None
        self._last = (path, page)
        if not leaf:
            crawl.add(page.url, await self._links(crawl, path, page), level + 1)
        return Item(path, path, None if page.body is None else len(page.body), page.validator)

    async def _links(self, crawl: _Crawl, path: str, page: Page) -> tuple[str, ...]:
        """Links of an HTML page, extracted in the parsers' process."""
        try:
            if page.body is None or kind_of(path, page.media_type) is not Kind.HTML:
                return ()
            if self._sandbox is None:
                self._sandbox = self._own_sandbox = Sandbox()
            return (await self._sandbox.parse(page.body, path, page.media_type)).links
        except UnsupportedMedia:
            return ()
        except ParseError as error:
            crawl.hide(error.message)
            return ()


class _Crawl:
    """What was seen and what is to come of one listing."""

    def __init__(self, urls: Iterable[URL], follows: Callable[[str], bool]) -> None:
        seeds = list(dict.fromkeys(urls))
        self.hidden = ""
        self._follows = follows
        self._seen = set(seeds)
        self._pending = deque((url, 0) for url in seeds)
        self._sites = {_site(url) for url in seeds}

    def next(self) -> tuple[URL, int] | None:
        """The next URL and how many links it lies from the start."""
        return self._pending.popleft() if self._pending else None

    def hide(self, why: str) -> None:
        """Note that links may be missing; the first reason is kept."""
        self.hidden = self.hidden or why

    def arrived(self, url: URL, final: URL, level: int) -> bool:
        """Whether a page counts, given where its redirects ended: within the sites, and nowhere seen before."""
        if final == url:
            return True
        if level == 0:
            self._sites.add(_site(final))
        elif _site(final) not in self._sites or final in self._seen:
            return False
        self._seen.add(final)
        return True

    def add(self, base: URL, links: Iterable[str], level: int) -> None:
        """Queue links of the page at `base` that are new, within the sites and not excluded."""
        for link in links:
            try:
                url = base.join(URL(link)).with_fragment(None)
            except ValueError:
                continue
            if url in self._seen or url.scheme not in {"http", "https"} or _site(url) not in self._sites:
                continue
            if len(self._seen) >= MAX_PAGES:
                self.hide(f"it has more than {MAX_PAGES} pages")
                return
            if self._follows(url.path):
                self._seen.add(url)
                self._pending.append((url, level))


def _site(url: URL) -> tuple[str | None, int | None]:
    return url.raw_host, url.port
