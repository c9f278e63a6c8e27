"""The catalog as a pod sees it: what changes take effect, and how soon."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import psycopg
import pytest

from rag_runtime.contract.config import IndexShape
from rag_runtime.serve import lease as lease_module
from rag_runtime.serve import listener as listener_module
from rag_runtime.serve.catalog import Catalog
from tests.integration.serve.conftest import Laid
from tests.integration.serve.laying import Doc
from tests.integration.serve.running import Running, eventually, serving, started
from tests.support.catalog import TestCatalog

pytestmark = pytest.mark.integration


def change(catalog: TestCatalog, statement: str, *values: object, notify: str | None = "catalog") -> None:
    """A change by the operator, told on the query channel."""
    with catalog.connect() as owner, owner.transaction():
        owner.execute(statement.format(c=catalog.names.schema).encode(), values)
        if notify is not None:
            owner.execute("SELECT pg_notify(%s, %s)", [catalog.names.query_channel, notify])


def lease_of(catalog: TestCatalog, pod: str = "pod-0") -> tuple[int, int, dict[str, str], float] | None:
    """(applied, pinned, failures, seconds until it expires)."""
    with catalog.connect() as owner:
        row: Any = owner.execute(
            f"SELECT applied, pinned, failures, extract(epoch FROM expires_at - clock_timestamp())::float8"
            f" FROM {catalog.names.schema}.reader_lease WHERE pod = %s",
            [pod],
        ).fetchone()
    return row if row is None else (row[0], row[1], row[2], row[3])


async def refused(running: Running, tenant: str) -> bool:
    """Whether the tenant's key is refused."""
    return (await running.post("/v1/search", tenant, question="paid holiday")).status == 401


async def answered(running: Running, tenant: str) -> bool:
    return (await running.post("/v1/search", tenant, question="paid holiday")).status == 200


@pytest.fixture
def unpolled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes effect here does so because it was told: no poll comes."""
    monkeypatch.setattr(listener_module, "POLL_SECONDS", 3600.0)


@pytest.mark.usefixtures("unpolled")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {c}.tenant SET state = 'Deactivated' WHERE id = %s",
        "UPDATE {c}.pointer SET open = false WHERE tenant = %s",
        "UPDATE {c}.tenant SET api_keys = '{{}}' WHERE id = %s",
        "DELETE FROM {c}.tenant WHERE id = %s",
    ],
)
async def test_a_tenant_that_is_closed_is_refused_at_once(laid: Laid, statement: str) -> None:
    async with serving(laid.config()) as running:
        assert not await refused(running, "acme")
        change(laid.catalog, statement, laid.acme.incarnation)
        await eventually(lambda: refused(running, "acme"))
        assert not await refused(running, "robots")


async def test_a_change_without_a_notification_is_found_by_the_poll(
    laid: Laid, monkeypatch: pytest.MonkeyPatch
) -> None:
    due, poll = asyncio.Event(), Catalog.poll

    async def held(catalog: Catalog) -> None:
        await due.wait()
        await poll(catalog)

    monkeypatch.setattr(listener_module, "POLL_SECONDS", 0.2)
    monkeypatch.setattr(Catalog, "poll", held)
    async with serving(laid.config()) as running:
        change(
            laid.catalog,
            "UPDATE {c}.tenant SET state = 'Deactivated' WHERE id = %s",
            laid.acme.incarnation,
            notify=None,
        )
        assert not await refused(running, "acme")
        due.set()
        await eventually(lambda: refused(running, "acme"))


async def test_before_the_catalog_is_read_no_key_is_refused(laid: Laid, monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoints lag behind a container that starts anew: clients are told to come again, not that they are nobody."""
    due, reload = asyncio.Event(), Catalog.reload

    async def held(catalog: Catalog) -> None:
        await due.wait()
        await reload(catalog)

    monkeypatch.setattr(Catalog, "reload", held)
    async with started(laid.config()) as running:
        early = await running.post("/v1/search", "acme", question="paid holiday")
        assert (early.status, early.body["error"]["type"]) == (503, "unavailable")
        assert "retry-after" in early.headers
        due.set()
        await eventually(lambda: answered(running, "acme"))
        assert await refused(running, "nobody")


@pytest.mark.usefixtures("unpolled")
async def test_a_new_tenant_answers_without_a_restart(laid: Laid) -> None:
    async with serving(laid.config()) as running:
        assert await refused(running, "late")
        late = laid.catalog.add_tenant("late")
        laid.catalog.promote(late.incarnation, laid.lay(late, [Doc("a.md", "Paid holiday is 40 days.")]))

        async def answers() -> bool:
            return not await refused(running, "late")

        await eventually(answers)


@pytest.mark.usefixtures("unpolled")
async def test_a_lost_listener_reads_everything_again(laid: Laid) -> None:
    """LISTEN first, then read: a change while nobody listened is known right after the reconnect."""
    async with serving(laid.config()) as running:
        with psycopg.connect(laid.catalog.dsn, autocommit=True) as admin:
            login = laid.catalog.names.query_login(0)
            admin.execute(f"GRANT {login} TO CURRENT_USER WITH INHERIT TRUE")
            admin.execute("SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE usename = %s", [login])
        change(laid.catalog, "UPDATE {c}.tenant SET state = 'Deactivated' WHERE id = %s", laid.acme.incarnation)
        await eventually(lambda: refused(running, "acme"))
        assert not await refused(running, "robots")


async def test_the_lease_tells_what_was_applied_and_ends_with_the_pod(laid: Laid) -> None:
    async with serving(laid.config()):
        lease = lease_of(laid.catalog)
        assert lease is not None
        applied, pinned, failures, seconds = lease
        assert (applied, pinned, failures) == (2, 2, {})
        assert 20 < seconds <= 30
    assert lease_of(laid.catalog) is None


async def test_two_pods_have_a_lease_each(laid: Laid) -> None:
    async with serving(laid.config(), "pod-0"), serving(laid.config(), "pod-1"):
        assert lease_of(laid.catalog, "pod-0") is not None
        assert lease_of(laid.catalog, "pod-1") is not None


async def test_a_promotion_is_applied_and_told_to_the_operator_once(laid: Laid) -> None:
    second = laid.lay(laid.acme, [Doc("b.md", "Paid holiday is 50 days.")], IndexShape(profile=laid.shape.profile, m=8))
    third = laid.lay(laid.robots, [Doc("d.md", "Change the oil.")], IndexShape(profile=laid.shape.profile, m=8))
    with laid.catalog.connect() as listener:
        listener.execute(f"LISTEN {laid.catalog.names.operator_channel}")

        async def told(number: int) -> list[str]:
            heard = listener.notifies(timeout=60, stop_after=number)
            return await asyncio.to_thread(lambda: [note.payload for note in heard])

        acme, robots = str(laid.acme.incarnation), str(laid.robots.incarnation)
        async with serving(laid.config()) as running:
            assert sorted(await told(2)) == sorted([acme, robots])
            laid.catalog.promote(laid.acme.incarnation, second)
            assert await told(1) == [acme]
            lease = lease_of(laid.catalog)
            assert lease is not None
            assert lease[0] == 3
            before = running.service.catalog.get(laid.acme.incarnation)
            laid.add(laid.acme, second, [Doc("c.md", "The canteen opens at noon.")])

            async def seen() -> bool:
                return running.service.catalog.get(laid.acme.incarnation) != before

            await eventually(seen)
            laid.catalog.promote(laid.robots.incarnation, third)
            assert await told(1) == [robots], "a mere version is not told to the operator"


async def test_a_promotion_whose_probe_fails_is_told_in_the_lease(laid: Laid) -> None:
    second = laid.lay(laid.acme, [Doc("b.md", "Paid holiday is 50 days.")], IndexShape(profile=laid.shape.profile, m=8))
    async with serving(laid.config()):
        change(laid.catalog, f"REVOKE SELECT ON {laid.acme.schema}.post_r{second} FROM {laid.acme.reader}")
        laid.catalog.promote(laid.acme.incarnation, second)

        async def told() -> bool:
            lease = lease_of(laid.catalog)
            return lease is not None and lease[0] == 3

        await eventually(told)
        lease = lease_of(laid.catalog)
        assert lease is not None
        assert list(lease[2]) == [str(laid.acme.incarnation)]
        assert "permission denied" in json.dumps(lease[2])


async def test_a_request_in_flight_holds_its_promotion_in_the_lease(laid: Laid) -> None:
    second = laid.lay(laid.acme, [Doc("b.md", "Paid holiday is 50 days.")], IndexShape(profile=laid.shape.profile, m=8))
    async with serving(laid.config()) as running:
        with running.service.catalog.pin():
            laid.catalog.promote(laid.acme.incarnation, second)

            async def applied() -> bool:
                lease = lease_of(laid.catalog)
                return lease is not None and lease[0] == 3

            await eventually(applied)
            lease = lease_of(laid.catalog)
            assert lease is not None
            assert lease[1] == 2


async def test_a_pod_that_cannot_renew_its_lease_stops_reading_before_it_expires(
    laid: Laid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "MARGIN_SECONDS", 120.0)
    monkeypatch.setattr(lease_module, "LEASE_SECONDS", 121.0)
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.2)
    monkeypatch.setattr(lease_module, "RETRY_SECONDS", 0.2)
    login = laid.catalog.names.query_login(0)
    async with serving(laid.config()) as running:
        change(laid.catalog, f"REVOKE INSERT, UPDATE ON {{c}}.reader_lease FROM {login}")

        async def status() -> int:
            return (await running.ask("acme", "When do I get my salary?")).status

        async def stopped() -> bool:
            return await status() == 503

        await eventually(stopped)
        response = await running.ask("acme", "When do I get my salary?")
        assert int(response.headers["retry-after"]) > 0
        assert (await running.ready())["ready"], "every pod is in the same plight: leaving the Service helps nobody"
        lease = lease_of(laid.catalog)
        assert lease is not None
        assert lease[3] > 5, "the lease that others see is still valid when the pod stops"
        change(laid.catalog, f"GRANT INSERT, UPDATE ON {{c}}.reader_lease TO {login}")

        async def answers() -> bool:
            return await status() == 200

        await eventually(answers)
