"""SIGTERM under load, on the real process: a client that keeps to HTTP loses no request."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from rag_runtime.contract.config import Answering, ChatModel, Endpoint, ServeConfig
from tests.integration.serve.conftest import Laid
from tests.integration.serve.running import eventually
from tests.integration.serve.test_catalog import lease_of
from tests.support import openai_server as models
from tests.support.catalog import api_key_of
from tests.support.postgres import free_port

pytestmark = pytest.mark.integration

KEY = {"authorization": f"Bearer {api_key_of('acme')}"}
QUESTION = {"question": "When do I get my salary?"}


@asynccontextmanager
async def process(config: ServeConfig, folder: Path, pod: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`rag-runtime serve` as the image runs it; ready."""
    file, port = folder / f"{pod}.json", free_port()
    file.write_text(config.model_dump_json(by_alias=True))
    environment = os.environ | {"RAG_HTTP_HOST": "127.0.0.1", "RAG_HTTP_PORT": str(port), "POD_NAME": pod}
    command = [sys.executable, "-m", "rag_runtime", "serve", "--config", str(file)]
    with (folder / f"{pod}.log").open("wb") as log:
        child = await asyncio.create_subprocess_exec(*command, env=environment, stderr=log, stdout=log)
    url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as http:
            await eventually(lambda: answers(http, f"{url}/readyz"))
        yield child, url
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def test_a_rolling_update_under_load_loses_no_request(laid: Laid, tmp_path: Path) -> None:
    """Clients keep their connection alive and go to the other pod once this one closes it, as a Service has them do."""
    async with (
        process(laid.config(), tmp_path, "pod-0") as (old, old_url),
        process(laid.config(), tmp_path, "pod-1") as (_, new_url),
    ):
        found: Counter[object] = Counter()
        begun: set[int] = set()
        ends = asyncio.Event()

        async def client(number: int) -> None:
            url = old_url
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:
                while not ends.is_set():
                    async with http.post(f"{url}/v1/query", json=QUESTION, headers=KEY) as response:
                        await response.read()
                        found[response.status] += 1
                        begun.add(number)
                        if response.headers.get("connection") == "close":
                            found["closed"] += 1
                            url = new_url
                    await asyncio.sleep(0.03)

        clients = [asyncio.create_task(client(number)) for number in range(8)]

        async def all_began() -> bool:
            return len(begun) == 8

        await eventually(all_began)
        old.send_signal(signal.SIGTERM)
        await eventually(lambda: unready(old_url))
        async with aiohttp.ClientSession() as late:
            assert await answers(late, f"{old_url}/healthz"), "endpoints lag: new connections still come"
        assert await asyncio.wait_for(old.wait(), 30) == 0
        ends.set()
        await asyncio.gather(*clients)
    assert found.keys() == {200, "closed"}
    assert found["closed"] == 8
    assert lease_of(laid.catalog, "pod-0") is None
    assert "Traceback" not in (tmp_path / "pod-0.log").read_text()


async def test_a_streaming_answer_is_finished_before_the_process_ends(laid: Laid, tmp_path: Path) -> None:
    words = " ".join(f"word{i}" for i in range(60))
    async with models.openai_server(models.Behaviour(answer=words, delta_delay=0.1)) as endpoint:
        model = ChatModel(name="slow", model="slow", endpoint=Endpoint(base_url=endpoint.base_url))
        config = laid.config(answering=Answering(model=model))
        async with process(config, tmp_path, "pod-0") as (child, url), aiohttp.ClientSession() as http:
            async with http.post(f"{url}/v1/query", json=QUESTION | {"stream": True}, headers=KEY) as response:
                await response.content.readline()
                child.send_signal(signal.SIGTERM)
                await eventually(lambda: unready(url))
                text = (await response.read()).decode()
            assert await asyncio.wait_for(child.wait(), 30) == 0
    assert "event: done" in text
    assert "word59" in text


async def unready(url: str) -> bool:
    """Whether a new connection is taken and told that the pod is not ready."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/readyz") as response:
        return response.status == 503
