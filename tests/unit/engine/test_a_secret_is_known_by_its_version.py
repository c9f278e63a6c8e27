from __future__ import annotations

from base64 import b64encode
from typing import Any

from rag_operator.engine.secrets import found


def _secret(uid: str, version: str, value: str = "hush") -> dict[str, Any]:
    return {
        "metadata": {"name": "openai", "uid": uid, "resourceVersion": version},
        "data": {"api-key": b64encode(value.encode()).decode()},
    }


def test_another_content_is_another_version() -> None:
    assert found(_secret("u", "1")).version != found(_secret("u", "2", "hush hush")).version


def test_one_made_anew_is_another_version() -> None:
    assert found(_secret("u", "1")).version != found(_secret("v", "1")).version


def test_a_version_tells_nothing_of_the_content() -> None:
    assert found(_secret("u", "1")).version == found(_secret("u", "1", "something else")).version
    assert "hush" not in repr(found(_secret("u", "1")))
