"""What a person writes into a spec, an emoji as well as a control character, stands in the children as it was written.

An apply is read as YAML, which knows neither JSON's pairs of surrogates nor control characters as they are.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_operator.kube.client import Api
from rag_operator.kube.kinds import CONFIG_MAP

pytestmark = pytest.mark.integration
MANAGER = "rag-operator-tests"
BORDERS = "".join(
    map(chr, (0, 9, 10, 13, 0x1F, 0x7F, 0x80, 0x85, 0xA0, 0x2028, 0x2029, 0xD7FF, 0xE000, 0xFEFF, 0xFFFF))
)
BEYOND = '\U00010000 \U0001f600 \U0001ffff \U0010ffff \\ud83d\\ude00 \\U0001f600 "quoted" \''


@pytest.mark.parametrize("text", [BORDERS, BEYOND], ids=["to U+FFFF", "beyond U+FFFF"])
async def test_it_is_applied_as_it_is(text: str, port: Api, api_namespace: str) -> None:
    stands = await _applied(text, port, api_namespace)
    assert stands == text


async def test_any_text_is_applied_as_it_is(port: Api, api_namespace: str) -> None:
    drawn: list[str] = []

    @settings(max_examples=100, database=None, suppress_health_check=list(HealthCheck))
    @given(st.text(st.characters(codec="utf-8")))
    def draw(text: str) -> None:
        drawn.append(text)

    draw()
    assert await _applied("".join(drawn), port, api_namespace) == "".join(drawn)


async def _applied(text: str, port: Api, namespace: str) -> str:
    meta = {"name": "texts", "namespace": namespace}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"text": text}}
    live = await port.apply(CONFIG_MAP, manifest, MANAGER)
    return str(live["data"]["text"])
