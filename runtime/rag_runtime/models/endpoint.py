"""What all clients of an OpenAI-compatible endpoint share: its key, its URLs, and what its refusals mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from rag_runtime.contract.config import Endpoint
from rag_runtime.models.errors import ModelRejected, ModelUnavailable, PermanentError, RuntimeFault
from rag_runtime.models.wire import LOGIN_WANTED, distrusted, login_refused, wants_login

_WORTH_REPEATING = frozenset({408, 409, 425, 429})
_MENDS = {
    400: "check the model's name and what it takes",
    401: "check the API key in its Secret",
    403: "check what the API key in its Secret may do",
    404: "check the endpoint's base URL and the model's name",
}


def url_of(endpoint: Endpoint, path: str) -> str:
    """The URL of `path` (such as "embeddings") below the endpoint's base URL."""
    return f"{endpoint.base_url.rstrip('/')}/{path}"


def api_key(endpoint: Endpoint) -> str | None:
    """The key as its file holds it now, None if the endpoint has none. Raises PermanentError naming the file."""
    if endpoint.api_key_file is None:
        return None
    try:
        key = Path(endpoint.api_key_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PermanentError(
            f"the API key file {endpoint.api_key_file} can't be read ({error}); check the Secret that it comes from"
        ) from error
    if not key:
        raise PermanentError(f"the API key file {endpoint.api_key_file} is empty; put the key into its Secret")
    return key


def headers_for(endpoint: Endpoint) -> dict[str, str]:
    """Authorization with the current key, or nothing."""
    key = api_key(endpoint)
    return {"Authorization": f"Bearer {key}"} if key else {}


def unavailable(endpoint: Endpoint, model: str, problem: str, retry_after: float | None = None) -> ModelUnavailable:
    """The error of a call that may succeed later."""
    return ModelUnavailable(f"model {model!r} at {endpoint.base_url}: {problem}", retry_after)


def rejected(endpoint: Endpoint, model: str, problem: str) -> ModelRejected:
    """The error of a call that won't succeed as it stands."""
    return ModelRejected(f"model {model!r} at {endpoint.base_url}: {problem}")


def unanswered(endpoint: Endpoint, model: str, problem: str, error: Exception) -> RuntimeFault:
    """The error of a call that got no answer: `problem`, unless what stands behind `error` says more."""
    if wants_login(error):
        return rejected(endpoint, model, login_refused(endpoint))
    return unavailable(endpoint, model, distrusted(error) or problem)


def error_of(endpoint: Endpoint, model: str, status: int, headers: Mapping[str, str], body: bytes) -> RuntimeFault:
    """What a status other than 200 means. Of the body only its code is taken: its text may quote what was sent."""
    if status == LOGIN_WANTED and (refused := login_refused(endpoint)):
        return rejected(endpoint, model, refused)
    code = str(error_fields(body).get("code") or "")[:100]
    said = f"status {status}" + (f" ({code})" if code else "")
    # OpenAI answers 429 also when the account has no money left, which no pause mends.
    if (status in _WORTH_REPEATING or status >= 500) and code != "insufficient_quota":
        return unavailable(endpoint, model, said, retry_after(headers))
    return rejected(endpoint, model, f"{said}; {_MENDS.get(status, 'check the endpoint and the model')}")


def error_fields(body: bytes) -> dict[str, Any]:
    """The `error` object of an answer, empty when it has none."""
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    error = value.get("error") if isinstance(value, dict) else None
    return error if isinstance(error, dict) else {}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as the answer says (RFC 9110 §10.2.3, a number or a date; OpenAI's retry-after-ms first)."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after", "")
        if value.replace(".", "", 1).isdigit():
            return float(value)
        # Against the server's own clock: ours may differ.
        return max(0.0, (parsedate_to_datetime(value) - parsedate_to_datetime(headers["date"])).total_seconds())
    except (ValueError, TypeError, KeyError):
        return None
