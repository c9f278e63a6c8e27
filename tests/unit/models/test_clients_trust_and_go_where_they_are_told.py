"""Private authorities and proxies, for each of the three clients: over real TLS, and through a real proxy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from rag_runtime.contract.config import Answering, ChatModel, EmbeddingCalls, EmbeddingProfile, Endpoint
from rag_runtime.models.chat import ChatAnswerer
from rag_runtime.models.errors import ModelUnavailable, PermanentError
from rag_runtime.models.factory import document_embedder, question_embedder
from rag_runtime.models.ports import Passage
from rag_runtime.models.wire import trust
from tests.cluster.certificates import Authority
from tests.support.openai_server import openai_server
from tests.support.proxy import forward_proxy

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
