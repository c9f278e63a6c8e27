"""A question's embedding over the wire, without the `openai` client: that costs nine times this call (measured)."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from rag_runtime.contract.config import EmbeddingCalls, EmbeddingProfile, Endpoint
from rag_runtime.models.endpoint import error_of, headers_for, rejected, unanswered, unavailable, url_of
from rag_runtime.models.errors import ModelRejected
from rag_runtime.models.ports import Vector, Vectors
from rag_runtime.models.vectors import WrongDimensions, rows_of, to_vectors
from rag_runtime.models.wire import login_for, open_session


class EndpointQuestionEmbedder:
    """A QuestionEmbedder: one request per question, no retries; what follows a failure is the query path's decision."""

    def __init__(self, profile: EmbeddingProfile, endpoint: Endpoint, calls: EmbeddingCalls) -> None:
        self._profile = profile
        self._endpoint = endpoint
        self._timeout = aiohttp.ClientTimeout(total=calls.timeout_seconds)
        self._session: aiohttp.ClientSession | None = None
        self._shorten = False

    @property
    def dimensions(self) -> int:
        """The profile's dimensions."""
        return self._profile.dimensions

    async def embed(self, question: str) -> Vector:
        """Vector of shape (d,), L2-normalised. Raises PermanentError, ModelUnavailable (also past the deadline)."""
        text = self._profile.query_prefix + question
        shorten = self._shorten
        try:
            vectors = await self._request(text, shorten)
        except WrongDimensions as wrong:
            if shorten:
                raise
            try:
                vectors = await self._request(text, True)
            except ModelRejected:
                raise wrong from None
            self._shorten = True
        vector: Vector = vectors[0]
        return vector

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _request(self, text: str, shorten: bool) -> Vectors:
        endpoint, model = self._endpoint, self._profile.model
        payload: dict[str, Any] = {"model": model, "input": [text], "encoding_format": "base64"}
        if shorten:
            payload["dimensions"] = self._profile.dimensions
        body = await self._post(payload)
        try:
            data = json.loads(body)["data"]
        except (ValueError, KeyError, TypeError) as error:
            raise rejected(endpoint, model, "its answer is no JSON of embeddings; check the base URL") from error
        return to_vectors(rows_of(data, 1, endpoint, model), self._profile, endpoint)

    async def _post(self, payload: dict[str, Any]) -> bytes:
        endpoint, model = self._endpoint, self._profile.model
        if self._session is None:
            self._session = open_session(endpoint, self._timeout)
        url, login = url_of(endpoint, "embeddings"), login_for(endpoint)
        headers = headers_for(endpoint) | login.request
        try:
            async with self._session.post(url, json=payload, headers=headers, proxy_headers=login.tunnel) as response:
                body = await response.read()
                if response.status != 200:
                    raise error_of(endpoint, model, response.status, response.headers, body)
                return body
        except TimeoutError as error:
            raise unavailable(endpoint, model, f"no answer within {self._timeout.total:g} s") from error
        except aiohttp.ClientError as error:
            raise unanswered(endpoint, model, f"it can't be reached ({type(error).__name__})", error) from error
