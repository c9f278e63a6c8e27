"""Data of an earlier tenant of the name, erased because an annotation of the present one names it (DATA §7).

Its schema is in the status before it goes: whoever finds it gone then knows that this has to be told.
"""

from __future__ import annotations

from collections import deque
from uuid import UUID

from rag_operator.api.conditions import Reason
from rag_operator.engine import tenant_audit
from rag_operator.engine.context import Binding, Context
from rag_operator.engine.deletion import TOLD, schema_in
from rag_operator.engine.emptying import erase_tenant
from rag_operator.kube.client import Object
from rag_operator.stores.erasure import prove_erased
from rag_operator.stores.errors import StoreTrouble
from rag_operator.stores.tenants import TenantRow

LONG_GONE = (
    "since before this look, and may have been told of already; what was left of its keys in the cache expires by "
    "itself"
)


class NoteNeeded(StoreTrouble):
    """Data are to be erased that the status does not tell of yet: the engine writes `schema` there and tries again."""

    def __init__(self, schema: str) -> None:
        super().__init__(f"data of an earlier tenant of this name is being erased: schema {schema}", Reason.DELETING)
        self.schema = schema


class RetainedErasure:
    """Erases what an earlier tenant left, and tells of it at least once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._told: deque[tuple[str, UUID]] = deque(maxlen=TOLD)

    async def proceed(self, live: Object, binding: Binding, row: TenantRow | None, asked: UUID) -> bool:
        """Whether the data of incarnation `asked` are gone; `row` is what the catalog has under the tenant's name.

        NoteNeeded before anything is erased. StoreTrouble DELETING where something is left of what was.
        """
        noted = schema_in(live, binding)
        if row is None:
            if noted.endswith(f"_{asked.hex[:10]}"):
                await self._tell(live, binding, asked, noted, LONG_GONE)
            return True
        if row.id != asked or row.uid == live["metadata"]["uid"]:
            return False
        if noted != row.schema:
            raise NoteNeeded(row.schema)
        emptied = await erase_tenant(self._context, binding, row)
        await self._tell(live, binding, asked, row.schema, emptied, row.uid)
        return True

    async def _tell(
        self, live: Object, binding: Binding, gone: UUID, schema: str, emptied: str, former: str = ""
    ) -> None:
        """Once by this process: the status names the schema until the tenant has one of its own."""
        told = (live["metadata"]["uid"], gone)
        if told in self._told:
            return
        async with self._context.transaction(binding) as tx:
            left = await prove_erased(tx, gone.hex)
        if left:
            raise StoreTrouble(f"erasure is not complete: {left[0]} is still there", Reason.DELETING)
        details = {"incarnation": str(gone)} | ({"formerUid": former} if former else {})
        await tenant_audit.erased_retained(self._context, live, schema, emptied, details)
        self._told.append(told)
