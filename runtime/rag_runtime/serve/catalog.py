"""The catalog as a pod sees it: an in-memory map of answering tenants, kept current by reads in one snapshot each.

Every read goes through one lock to the primary, so a later read never knows less than an earlier one (DATA §4).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from pydantic import ValidationError

from rag_runtime.contract.config import IndexShape
from rag_runtime.logs import fields
from rag_runtime.retrieve.database import Database, Row, Statement
from rag_runtime.retrieve.tenants import Pointer, Tenant

logger = logging.getLogger(__name__)

READ_SECONDS = 5.0

_DIGEST = "concat_ws(' ', t.xmin, p.version, p.token, p.open, p.promotion)"
"""What may change of a row in a word, so that a poll over thousands of tenants ships and parses little."""
_FROM = "FROM {c}.promotion n LEFT JOIN ({c}.tenant t JOIN {c}.pointer p ON p.tenant = t.id)"
_DIGESTS = f"SELECT n.number, t.id, {_DIGEST} {_FROM} ON true"
_ROWS = (
    f"SELECT n.number, t.id, {_DIGEST}, t.namespace, t.name, t.schema, t.reader, t.shard, t.api_keys,"
    f" t.state = 'Active' AND p.open, p.active, p.shape, p.version, p.token, p.promotion {_FROM} ON "
)
_ALL = "true"
_SOME = "(t.id = ANY (%(ids)s) OR p.promotion > %(applied)s)"


@dataclass(frozen=True, slots=True)
class Change:
    """What one read changed: tenants whose active revision moved, and tenants whose visible rows did."""

    promoted: tuple[Tenant, ...] = ()
    moved: tuple[Tenant, ...] = ()


@dataclass(slots=True)
class _Known:
    digest: str
    tenant: Tenant | None
    """None: the tenant exists and does not answer (deactivated, retained, being erased, pointer closed)."""


@dataclass(slots=True)
class Catalog:
    """Tenants by API key. `number` is the promotion number of the newest snapshot applied, -1 before the first."""

    database: Database
    clock: Callable[[], float] = time.monotonic
    number: int = -1
    read_at: float | None = None
    _known: dict[UUID, _Known] = field(default_factory=dict)
    _by_key: dict[str, UUID] = field(default_factory=dict)
    _pins: Counter[int] = field(default_factory=Counter)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _listeners: list[Callable[[Change], None]] = field(default_factory=list)

    @property
    def applied(self) -> bool:
        """Whether a whole snapshot was applied once."""
        return self.number >= 0

    @property
    def tenants(self) -> list[Tenant]:
        """The answering tenants."""
        return [known.tenant for known in self._known.values() if known.tenant is not None]

    def by_key(self, api_key: str) -> Tenant | None:
        """The answering tenant that the key belongs to."""
        tenant_id = self._by_key.get(hashlib.sha256(api_key.encode()).hexdigest())
        return self.get(tenant_id) if tenant_id is not None else None

    def get(self, tenant_id: UUID) -> Tenant | None:
        """The tenant as last read; None when it does not answer."""
        known = self._known.get(tenant_id)
        return known.tenant if known else None

    def age(self) -> float:
        """Seconds since the catalog was read in full; infinite before the first time."""
        return self.clock() - self.read_at if self.read_at is not None else float("inf")

    def subscribe(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` after each read that changed something; it must not block."""
        self._listeners.append(listener)

    @contextlib.contextmanager
    def pin(self) -> Iterator[None]:
        """Hold back the retirement of what this moment's snapshot shows, until the block ends."""
        number = self.number
        self._pins[number] += 1
        try:
            yield
        finally:
            self._pins[number] -= 1
            if not self._pins[number]:
                del self._pins[number]

    def oldest_pin(self) -> int:
        """The oldest promotion number that a request in flight pins; without one, the applied number."""
        return min(self._pins, default=self.number)

    async def reload(self) -> None:
        """Read every row and take it as it stands, also where versions went back (a restored database).

        For a fresh connection: raises RetrievalError.
        """
        async with self._lock:
            rows = await self._read((_ROWS + _ALL).format(c=self._schema))
            self._apply(rows, {row[1] for row in rows}, authoritative=True)
            self.read_at = self.clock()

    async def poll(self) -> None:
        """Compare a digest of every row and read those that differ. Raises RetrievalError."""
        async with self._lock:
            rows = await self._read(_DIGESTS.format(c=self._schema))
            digests = {row[1]: row[2] for row in rows if row[1] is not None}
            for tenant_id in self._known.keys() - digests.keys():
                self._forget(tenant_id)
            changed = [i for i, digest in digests.items() if i not in self._known or self._known[i].digest != digest]
            if changed or rows[0][0] != self.number:
                await self._read_some(changed)
            self.read_at = self.clock()

    async def refresh(self, tenant_ids: Sequence[UUID]) -> None:
        """Read these tenants, and whatever was promoted since. Raises RetrievalError."""
        async with self._lock:
            if self.applied:
                await self._read_some(tenant_ids)

    async def _read_some(self, tenant_ids: Sequence[UUID]) -> None:
        sql = (_ROWS + _SOME).format(c=self._schema)
        rows = await self._read(sql, ids=list(tenant_ids), applied=self.number)
        self._apply(rows, set(tenant_ids), authoritative=False)

    async def _read(self, sql: str, **values: object) -> list[Row]:
        return await self.database.as_login(Statement(sql, values), READ_SECONDS)

    @property
    def _schema(self) -> str:
        return self.database.settings.schema_

    def _apply(self, rows: Sequence[Row], asked: set[UUID], *, authoritative: bool) -> None:
        """Take the rows of one snapshot; tenants that were asked for and are not among them are gone."""
        present = {row[1]: row for row in rows if row[1] is not None}
        for tenant_id in (self._known.keys() if authoritative else asked) - present.keys():
            self._forget(tenant_id)
        promoted, moved = [], []
        for tenant_id, row in present.items():
            before, after = self.get(tenant_id), _tenant(row)
            if before and after and after.pointer.version < before.pointer.version and not authoritative:
                continue
            self._store(tenant_id, row, after)
            if after is not None:
                if before is None or before.pointer.active != after.pointer.active:
                    promoted.append(after)
                if before is not None and before.pointer.token != after.pointer.token:
                    moved.append(after)
        self.number = rows[0][0] if authoritative else max(self.number, rows[0][0])
        if promoted or moved:
            change = Change(tuple(promoted), tuple(moved))
            for listener in self._listeners:
                listener(change)

    def _store(self, tenant_id: UUID, row: Row, tenant: Tenant | None) -> None:
        self._forget(tenant_id)
        self._known[tenant_id] = _Known(row[2], tenant)
        if tenant is not None:
            self._by_key.update(dict.fromkeys(tenant.api_keys, tenant_id))

    def _forget(self, tenant_id: UUID) -> None:
        known = self._known.pop(tenant_id, None)
        if known is not None and known.tenant is not None:
            for key in known.tenant.api_keys:
                if self._by_key.get(key) == tenant_id:
                    del self._by_key[key]


def _tenant(row: Row) -> Tenant | None:
    """The tenant of a row; None when it does not answer."""
    (
        _,
        tenant_id,
        _,
        namespace,
        name,
        schema,
        reader,
        shard,
        api_keys,
        answers,
        active,
        raw,
        version,
        token,
        promotion,
    ) = row
    if not answers:
        return None
    shape = None
    if raw is not None:
        try:
            shape = IndexShape.model_validate(raw)
        except ValidationError as error:
            logger.error(
                "pointer.shape is of no shape that this runtime knows",
                extra=fields(tenant=f"{namespace}/{name}", errors=error.error_count()),
            )
    pointer = Pointer(active, shape, version, token, promotion)
    return Tenant(tenant_id, namespace, name, schema, reader, shard, frozenset(api_keys), pointer)
