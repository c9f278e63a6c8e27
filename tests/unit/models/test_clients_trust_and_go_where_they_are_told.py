"""Private authorities and proxies, for each of the three clients: over real TLS, and through a real proxy."""

from __future__ import annotations

import contextlib
import logging
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from aiohttp import web

from rag_runtime.contract.config import Answering, ChatModel, EmbeddingCalls, EmbeddingProfile, Endpoint
from rag_runtime.contract.proxies import LOGIN
from rag_runtime.models.chat import ChatAnswerer
from rag_runtime.models.errors import ModelRejected, ModelUnavailable, PermanentError
from rag_runtime.models.factory import document_embedder, question_embedder
from rag_runtime.models.ports import Passage
from rag_runtime.models.wire import trust
from tests.cluster.certificates import Authority
from tests.support.openai_server import OpenAIServer, openai_server
from tests.support.proxy import ForwardProxy, forward_proxy
from tests.unit.sources.web import running_site

NAME = "models.corp.example"
PASSAGES = [Passage("It opens at eight. It closes at six.", title="Manual")]
CALLS = EmbeddingCalls(timeout_seconds=10)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A private authority with a certificate for the loopback address and a name."""
    made = Authority(tmp_path_factory.mktemp("authority") / "pki")
    made.create()
    made.sign("server", "models", hosts=["127.0.0.1", NAME])
    return made


async def ask(endpoint: Endpoint) -> None:
    profile = EmbeddingProfile(endpoint=endpoint, model="m")
    embedder = question_embedder(profile, CALLS)
    try:
        assert (await embedder.embed("where is the valve")).shape == (384,)
    finally:
        await embedder.close()


async def ingest(endpoint: Endpoint) -> None:
    from rag_runtime.models.openai import OpenAIEmbedder

    profile = EmbeddingProfile(endpoint=endpoint, model="m")
    calls = CALLS.model_copy(update={"max_concurrency": 1})
    embedder = OpenAIEmbedder(profile, endpoint, calls, jitter=lambda: 0.0, sleep=_at_once)
    try:
        assert (await embedder.embed(["the valve", "the pump"])).shape == (2, 384)
    finally:
        await embedder.close()


async def answer(endpoint: Endpoint) -> None:
    chat = ChatModel(name="main", model="m", endpoint=endpoint)
    model = ChatAnswerer(Answering(model=chat, timeout_seconds=10), chat)
    try:
        found = [delta.text async for delta in model.stream("When?", PASSAGES)]
        assert "".join(found) == "It opens at eight [1]."
    finally:
        await model.close()


async def _at_once(seconds: float) -> None:
    return None


Client = Callable[[Endpoint], Awaitable[None]]
every_client = pytest.mark.parametrize("client", [ask, ingest, answer], ids=lambda one: one.__name__)


def at(server: Any, host: str = "127.0.0.1", ca: Path | None = None) -> Endpoint:
    return Endpoint(base_url=server.url_as(host), ca_file=PurePosixPath(ca) if ca else None)


@every_client
async def test_a_private_authority_is_trusted_only_where_it_is_named(client: Client, authority: Authority) -> None:
    tls = (authority.crt("server"), authority.key("server"))
    async with openai_server(tls=tls) as server:
        with pytest.raises(ModelUnavailable, match=r"certificate is not trusted.*name its authority in the endpoint's"):
            await client(at(server))
        assert not server.requests
        await client(at(server, ca=authority.crt("ca")))
        assert server.requests


@every_client
async def test_a_named_authority_stands_alone_and_names_are_still_checked(
    client: Client, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    other.create()
    async with openai_server(tls=(authority.crt("server"), authority.key("server"))) as server:
        with pytest.raises(ModelUnavailable, match="certificate is not trusted"):
            await client(at(server, ca=other.crt("ca")))
        with pytest.raises(ModelUnavailable, match="certificate is not trusted"):
            await client(at(server, "localhost", ca=authority.crt("ca")))
        assert not server.requests


@every_client
@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_authorities_that_cannot_be_read_are_named_and_nothing_else_is_trusted(
    client: Client, content: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "ca.crt"
    if content:
        file.write_text(content)
    async with openai_server() as server:
        with pytest.raises(PermanentError, match=r"ca\.crt can't be read.*check the ConfigMap"):
            await client(at(server, ca=file))
        assert not server.requests


def test_a_named_authority_counts_without_the_public_ones(authority: Authority) -> None:
    context = trust(Endpoint(base_url="https://a.example", ca_file=PurePosixPath(authority.crt("ca"))))
    assert context is not None and len(context.get_ca_certs()) == 1


def test_without_a_file_the_public_authorities_count() -> None:
    assert trust(Endpoint(base_url="https://a.example")) is None


@every_client
async def test_a_proxy_leads_to_names_that_only_it_knows(
    client: Client, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = (authority.crt("server"), authority.key("server"))
    async with forward_proxy({NAME: "127.0.0.1"}) as proxy, openai_server(tls=tls) as server:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        await client(at(server, NAME, ca=authority.crt("ca")))
        assert set(proxy.asked) == {f"CONNECT {NAME}:{server.port}"}
        assert server.requests


@every_client
async def test_plain_http_goes_through_its_own_proxy(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async with forward_proxy({NAME: "127.0.0.1"}) as proxy, openai_server() as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        await client(at(server, NAME))
        assert proxy.asked[0].startswith(f"POST http://{NAME}:{server.port}/v1/")
        assert len(proxy.asked) == sum(server.requests.values())


@every_client
async def test_what_no_proxy_names_is_asked_directly(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async with forward_proxy({NAME: "127.0.0.1"}) as proxy, openai_server() as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "corp.example")
        with pytest.raises(ModelUnavailable):  # nobody but the proxy knows the name
            await client(at(server, NAME))
        assert proxy.asked == []


@every_client
async def test_a_proxy_that_refuses_makes_the_model_unavailable(
    client: Client, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with forward_proxy() as proxy:
        proxy.refuses = True
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(ModelUnavailable):
            await client(Endpoint(base_url=f"https://{NAME}/v1"))
        assert proxy.asked


async def test_the_factory_leads_documents_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with forward_proxy({NAME: "127.0.0.1"}) as proxy, openai_server() as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        embedder = document_embedder(EmbeddingProfile(endpoint=at(server, NAME), model="m"), CALLS)
        await embedder.embed(["a"])
        await embedder.close()
        assert proxy.asked


USER, PASSWORD = "rag-bot", "p@s:s/w%rd =ü"
every_scheme = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tunnel"])


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that pods see the login's Secret as."""
    folder = tmp_path / "corp-proxy"
    folder.mkdir()
    (folder / "username").write_text(f"{USER}\n")
    (folder / "password").write_text(PASSWORD)
    monkeypatch.setenv(LOGIN, str(folder))
    return folder


@pytest_asyncio.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ForwardProxy]:
    """It demands the login, for both schemes."""
    async with forward_proxy({NAME: "127.0.0.1"}) as running:
        running.login = f"{USER}:{PASSWORD}"
        monkeypatch.setenv("HTTPS_PROXY", running.url)
        monkeypatch.setenv("HTTP_PROXY", running.url)
        yield running


def behind(authority: Authority, tls: bool) -> contextlib.AbstractAsyncContextManager[OpenAIServer]:
    return openai_server(tls=(authority.crt("server"), authority.key("server")) if tls else None)


@every_scheme
@every_client
async def test_a_login_is_told_to_the_proxy_and_to_nobody_behind_it(
    client: Client, tls: bool, proxy: ForwardProxy, login: Path, authority: Authority
) -> None:
    async with behind(authority, tls) as server:
        await client(at(server, NAME, ca=authority.crt("ca")))
        assert server.requests
        assert server.proxy_logins == []
    assert {asked.split(" ")[0] for asked in proxy.asked} == {"CONNECT" if tls else "POST"}


@every_scheme
@every_client
async def test_a_login_that_is_refused_is_told_with_the_mend_and_without_the_login(
    client: Client, tls: bool, proxy: ForwardProxy, login: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    proxy.login = "another:one"
    with pytest.raises(ModelRejected) as caught:
        await client(Endpoint(base_url=f"http{'s' if tls else ''}://{NAME}/v1"))
    assert str(caught.value).endswith(
        f"the proxy 127.0.0.1:{proxy.port} refuses the login (status 407); correct username and password in the Secret "
        f"that {login} comes from"
    )
    assert len(proxy.asked) == 1, "a wrong login is not tried again: some proxies lock it"
    said = "".join(traceback.format_exception(caught.value)) + caplog.text
    for secret in (PASSWORD, quote(PASSWORD, safe=""), b64encode(f"{USER}:{PASSWORD}".encode()).decode()):
        assert secret not in said


@every_scheme
@every_client
async def test_a_proxy_that_asks_for_a_login_that_nobody_named_is_told_with_the_mend(
    client: Client, tls: bool, proxy: ForwardProxy
) -> None:
    with pytest.raises(ModelRejected, match=r"asks for a login \(status 407\); name a Secret .* proxy\.secretName"):
        await client(Endpoint(base_url=f"http{'s' if tls else ''}://{NAME}/v1"))


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("username", None, "No such file"),
        ("password", b"\n", "it is empty"),
        ("password", b"\xff", "it is no UTF-8"),
        ("username", b"a:b", "has a colon"),
    ],
)
@every_client
async def test_a_login_that_cannot_be_read_is_named_and_the_proxy_is_not_asked(
    client: Client, file: str, content: bytes | None, says: str, proxy: ForwardProxy, login: Path
) -> None:
    (login / file).unlink()
    if content is not None:
        (login / file).write_bytes(content)
    with pytest.raises(PermanentError, match=rf"the proxy's login {login / file} .*{says}.*Secret that it comes from"):
        await client(Endpoint(base_url=f"https://{NAME}/v1"))
    assert proxy.asked == []


@every_client
async def test_what_is_asked_directly_needs_no_login_and_carries_none(
    client: Client, proxy: ForwardProxy, login: Path
) -> None:
    (login / "password").unlink()
    async with openai_server() as server:
        await client(at(server))
        assert server.proxy_logins == []
    assert proxy.asked == []


@every_scheme
async def test_questions_go_on_with_a_changed_login_without_a_restart(
    tls: bool, proxy: ForwardProxy, login: Path, authority: Authority
) -> None:
    async with behind(authority, tls) as server:
        endpoint = at(server, NAME, ca=authority.crt("ca"))
        embedder = question_embedder(EmbeddingProfile(endpoint=endpoint, model="m"), CALLS)
        chat = ChatModel(name="main", model="m", endpoint=endpoint)
        model = ChatAnswerer(Answering(model=chat, timeout_seconds=10), chat)
        for password in ("first", "second"):
            proxy.login = f"{USER}:{password}"
            (login / "password").write_text(password)
            assert (await embedder.embed(f"where is the {password}")).shape == (384,)
            assert [delta.text async for delta in model.stream("When?", PASSAGES)]
        await embedder.close()
        await model.close()


@every_client
async def test_a_redirect_takes_no_login_to_another_server(
    client: Client, proxy: ForwardProxy, login: Path, authority: Authority
) -> None:
    proxy.login = ""  # it takes everyone, and passes on what it was told
    async with running_site() as site, behind(authority, tls=True) as server:

        async def elsewhere(request: web.BaseRequest) -> web.StreamResponse:
            path = request.path_qs.removeprefix("/v1")
            return web.Response(status=307, headers={"Location": f"{server.url_as(NAME)}{path}"})

        site.otherwise = elsewhere
        await client(Endpoint(base_url=site.url(NAME, "/v1"), ca_file=PurePosixPath(authority.crt("ca"))))
        assert site.proxy_logins, "the test's proxy passes it on"
        assert server.requests
        assert server.proxy_logins == []
