"""A5: the second page of a list answers 410. What it would have shown is neither missed nor taken for gone."""

from __future__ import annotations

import pytest

from rag_operator.kube.client import Api
from rag_operator.kube.errors import ApiUnavailableError
from rag_operator.kube.kinds import TENANT
from tests.faults.conftest import Stages
from tests.faults.paging import Expiring
from tests.faults.script import ALL
from tests.support.operator import HANDBOOK, eventually, pipeline, tenant

pytestmark = pytest.mark.integration
KNOWN = ("acme", "beta", "gamma")


@pytest.mark.parametrize("go_on", [True, False] if ALL else [True], ids=lambda given: "a token" if given else "none")
def test_nothing_is_missed_and_nothing_is_deleted(go_on: bool, stages: Stages) -> None:
    with stages() as on:
        on.start()
        on.apply(pipeline(), HANDBOOK, on.database_secret(), *(tenant(name, suspend=True) for name in KNOWN))
        before = on.settled(lambda: on.has(*(f"cronjob/{name}-ingest" for name in KNOWN)))
        on.wire.weather = weather = Expiring(times=2, go_on=go_on)
        tenants = next(path for path in _lists(weather, on.here.namespace) if path.endswith("ragtenants"))
        eventually(lambda: weather.whole[tenants] >= len(KNOWN) - 1, "the list is had after all")
        assert weather.expired[tenants] == 2
        written = len(on.script.trace)
        assert on.settled(lambda: on.has(*(f"cronjob/{name}-ingest" for name in KNOWN))) == before
        assert not [line for line in on.script.trace[written:] if line.startswith("DELETE")]
        believed = on.through.replicas[-1].scrape()
        assert believed.of("rag_operator_resyncs_total") >= 1
        assert believed.of("rag_operator_resync_differences_total", difference="vanished") == 0


async def test_a_list_begins_anew_and_gives_up_where_it_never_ends(stages: Stages) -> None:
    with stages() as on:
        on.apply(HANDBOOK, *(tenant(name) for name in KNOWN))
        api = await Api.connect(str(on.through.kubeconfig))
        try:
            on.wire.weather = Expiring(times=2)
            found = await api.list(TENANT, on.here.namespace)
            assert [live["metadata"]["name"] for live in found] == list(KNOWN)
            on.wire.weather = Expiring(times=100)
            with pytest.raises(ApiUnavailableError, match="LIST ragtenants: it expired 5 times before its last page"):
                await api.list(TENANT, on.here.namespace)
        finally:
            await api.close()


def _lists(weather: Expiring, namespace: str) -> set[str]:
    return eventually(
        lambda: {p for p in list(weather.expired) if p.endswith("ragtenants") and namespace in p}, "an expiry"
    )
