"""Document embeddings from an OpenAI-compatible endpoint, through the `openai` client: many, slowly, insistently."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import openai

from rag_runtime.contract.config import EmbeddingCalls, EmbeddingProfile, Endpoint
from rag_runtime.models.endpoint import api_key, error_of, rejected, unanswered, unavailable
from rag_runtime.models.errors import ModelRejected, ModelUnavailable
from rag_runtime.models.ports import Vectors
from rag_runtime.models.vectors import WrongDimensions, rows_of, to_vectors
from rag_runtime.models.wire import proxy_and_login_for, trust

ATTEMPTS = 6
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
LONGEST_RETRY_AFTER = 120.0
"""Seconds. Where an endpoint asks for more, the run ends with a TransientError instead, and the next one goes on."""


class OpenAIEmbedder:
    """A DocumentEmbedder: batches, a limit of concurrent requests, retries with exponential back-off and full jitter.

    `jitter` gives numbers in 0..1; `sleep` waits. The `dimensions` parameter is sent only after the model gave others
    than the profile says, because models that can't shorten their vectors refuse it.
    """

    def __init__(
        self,
        profile: EmbeddingProfile,
        endpoint: Endpoint,
        calls: EmbeddingCalls,
        jitter: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._profile = profile
        self._endpoint = endpoint
        self._calls = calls
        self._jitter = jitter
        self._sleep = sleep
        self._slots = asyncio.Semaphore(calls.max_concurrency)
        self._shorten = False
        # The key is replaced at each call; retries are ours, so that Retry-After and the number of attempts are known.
        # The environment is read by `Proxies`, since each client reads it in a way of its own.
        http_client = openai.DefaultAsyncHttpxClient(
            verify=trust(endpoint) or True,
            proxy=proxy_and_login_for(endpoint),
            trust_env=False,
            timeout=calls.timeout_seconds,
        )
        self._client = openai.AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key="none",
            max_retries=0,
            timeout=calls.timeout_seconds,
            http_client=http_client,
        )

    @property
    def dimensions(self) -> int:
        """The profile's dimensions."""
        return self._profile.dimensions

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape (len(texts), d), L2-normalised, in the order of `texts`.

        Raises PermanentError (ModelRejected, WrongDimensions) at once, ModelUnavailable after the last attempt.
        """
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        size, prefix = self._calls.batch_size, self._profile.document_prefix
        batches = [[prefix + text for text in texts[first : first + size]] for first in range(0, len(texts), size)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._batch(batch)) for batch in batches]
        except BaseExceptionGroup as errors:  # the first failure has cancelled the others
            raise errors.exceptions[0] from None
        return np.concatenate([task.result() for task in tasks])

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _batch(self, texts: list[str]) -> Vectors:
        async with self._slots:
            for attempt in range(ATTEMPTS):
                try:
                    return await self._checked(texts)
                except ModelUnavailable as error:
                    asked = error.retry_after
                    if attempt == ATTEMPTS - 1 or (asked or 0) > LONGEST_RETRY_AFTER:
                        raise
                # Full jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015), never earlier than asked for.
                pause = self._jitter() * min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt)
                await self._sleep((asked or 0) + pause)
        raise AssertionError("the last attempt returns or raises")

    async def _checked(self, texts: list[str]) -> Vectors:
        """Vectors of the right dimensions; the first time they are not, asked for again with `dimensions`."""
        shorten = self._shorten
        try:
            return await self._request(texts, shorten)
        except WrongDimensions as wrong:
            if shorten:
                raise
            try:
                vectors = await self._request(texts, True)
            except ModelRejected:
                raise wrong from None
        self._shorten = True
        return vectors

    async def _request(self, texts: list[str], shorten: bool) -> Vectors:
        """One request's vectors, in order."""
        profile, endpoint = self._profile, self._endpoint
        client = self._client.with_options(api_key=api_key(endpoint) or "none")
        extra = {"dimensions": profile.dimensions} if shorten else {}
        try:
            answer = await client.embeddings.create(
                model=profile.model, input=texts, encoding_format="base64", extra_body=extra
            )
        except openai.APIStatusError as error:
            body = error.response.content
            raise error_of(endpoint, profile.model, error.status_code, error.response.headers, body) from error
        except openai.APITimeoutError as error:
            problem = f"no answer within {self._calls.timeout_seconds:g} s"
            raise unavailable(endpoint, profile.model, problem) from error
        except openai.APIConnectionError as error:
            raise unanswered(endpoint, profile.model, "it can't be reached", error) from error
        except openai.OpenAIError as error:
            raise rejected(endpoint, profile.model, f"its answer is malformed ({type(error).__name__})") from error
        data = [{"index": row.index, "embedding": row.embedding} for row in answer.data or ()]
        return to_vectors(rows_of(data, len(texts), endpoint, profile.model), profile, endpoint)
