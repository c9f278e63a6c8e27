"""Requests and limits: what is given counts, defaults yield, quantities are written as the API server writes them."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_operator.api.common import Resources
from rag_operator.api.formats import Quantity
from rag_operator.build.common import amounts, canonical, resources
from tests.support.quantities import WRITTEN_AND_READ

DEFAULTS = amounts(cpu="200m", memory="384Mi", memory_limit="1Gi")


def merged(requests: dict[str, str] | None = None, limits: dict[str, str] | None = None) -> dict[str, dict[str, str]]:
    given_ = Resources.model_validate({"requests": requests or {}, "limits": limits or {}})
    return resources(given_, DEFAULTS)


def test_nothing_given_means_the_defaults() -> None:
    assert merged() == {"requests": {"cpu": "200m", "memory": "384Mi"}, "limits": {"memory": "1Gi"}}


def test_a_larger_request_raises_the_default_limit() -> None:
    assert merged({"memory": "4Gi"}) == {"requests": {"cpu": "200m", "memory": "4Gi"}, "limits": {"memory": "4Gi"}}


def test_a_smaller_limit_lowers_the_default_request() -> None:
    assert merged(limits={"memory": "128Mi"})["requests"]["memory"] == "128Mi"


def test_other_resources_pass_through() -> None:
    gpu = merged({"nvidia.com/gpu": "1"}, {"nvidia.com/gpu": "1"})
    assert gpu["requests"]["nvidia.com/gpu"] == gpu["limits"]["nvidia.com/gpu"] == "1"


quantities = st.builds(lambda n, unit: f"{n}{unit}", st.integers(1, 9999), st.sampled_from(["", "m", "k", "Ki", "Mi"]))


@given(
    requests=st.dictionaries(st.sampled_from(["cpu", "memory"]), quantities),
    limits=st.dictionaries(st.sampled_from(["cpu", "memory"]), quantities),
)
def test_a_default_never_contradicts_what_is_given(requests: dict[str, str], limits: dict[str, str]) -> None:
    result = merged(requests, limits)
    for name in requests.keys() & limits.keys():
        if Quantity(requests[name]).value > Quantity(limits[name]).value:
            return  # the user's own contradiction, which the API server names
    for name, limit in result["limits"].items():
        assert (
            name not in result["requests"]
            or Quantity.__new__(Quantity, result["requests"][name]).value <= Quantity(limit).value
        )


@pytest.mark.parametrize(("written", "read"), WRITTEN_AND_READ)
def test_quantities_are_written_as_the_api_server_does(written: str, read: str) -> None:
    assert canonical(Quantity(written)) == read


@given(quantities)
def test_writing_keeps_the_value_to_a_thousandth(text: str) -> None:
    assert Quantity(canonical(Quantity(text))).value * 1000 == ceil(Quantity(text).value * 1000)
