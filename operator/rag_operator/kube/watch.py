"""Metadata-only watches of children: a change of a child is a reason to look at its owner again, nothing more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from rag_operator.api.errors import PermanentError, TransientError
from rag_operator.kube.client import Api, Object
from rag_operator.kube.errors import ExpiredError
from rag_operator.kube.kinds import Kind
from rag_operator.kube.metrics import WATCHES

log = logging.getLogger(__name__)
PAUSE = 2.0


async def watch_children(
    api: Api, kind: Kind, namespace: str | None, selector: str, changed: Callable[[Object], None]
) -> None:
    """Call `changed` with the metadata of each child that is new, changed or gone; for ever, across every outage."""
    while True:
        try:
            version = ""
            async for page in api.pages(kind, namespace, selector, metadata_only=True):
                version = page.version
                for item in page.items():
                    changed(item["metadata"])
            WATCHES.seen(kind.kind, namespace)
            await _follow(api, kind, namespace, selector, version, changed)
        except (TransientError, PermanentError) as error:
            log.warning("watch of %s: %s", kind.plural, error)
            await asyncio.sleep(PAUSE)


async def _follow(
    api: Api, kind: Kind, namespace: str | None, selector: str, version: str, changed: Callable[[Object], None]
) -> None:
    while True:
        try:
            async for event in api.watch(kind, namespace, selector, version):
                version = event["object"]["metadata"]["resourceVersion"]
                WATCHES.seen(kind.kind, namespace)
                if event["type"] != "BOOKMARK":
                    changed(event["object"]["metadata"])
        except ExpiredError:
            return
