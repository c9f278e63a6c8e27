"""Lists over all watched namespaces: one that refuses is left out and remembered, so that it stops no other's work.

A namespace that is gone refuses too, since the Role that let the operator in went with it: from here the two look
alike. In the whole cluster there is nothing to leave out, and a refusal is an error.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from rag_operator.engine.settings import Settings
from rag_operator.kube.client import Api, Object
from rag_operator.kube.errors import NotFoundError, RefusedError
from rag_operator.kube.kinds import Kind
from rag_operator.kube.page import Page


@dataclass(frozen=True, slots=True)
class Places:
    """One pass over the watched namespaces, or over the whole cluster."""

    api: Api
    settings: Settings
    refused: dict[str, str] = field(default_factory=dict)
    """Namespaces that this pass has left out, with what the API server said."""

    async def pages(self, kind: Kind, selector: str = "", *, metadata_only: bool = False) -> AsyncIterator[Page]:
        """Pages of a LIST in each; of one that refuses midway some have been given."""
        for place in self._all():
            try:
                async for page in self.api.pages(kind, place, selector, metadata_only=metadata_only):
                    yield page
            except RefusedError as error:
                self._leave_out(place, error)

    async def list(self, kind: Kind, selector: str = "") -> list[Object]:
        """All objects of a selector in all of them."""
        found: list[Object] = []
        for place in self._all():
            try:
                found += await self.api.list(kind, place, selector)
            except RefusedError as error:
                self._leave_out(place, error)
        return found

    def _all(self) -> tuple[str | None, ...]:
        return self.settings.watch_namespaces or (None,)

    def _leave_out(self, place: str | None, error: RefusedError) -> None:
        if place is None or isinstance(error, NotFoundError):  # a kind that is gone is so everywhere
            raise error
        self.refused[place] = str(error)
