"""Which optional kinds the API server has at the moment: they come and go with other people's installations.

Asked once in a while, one GET a group and version. What is not known (nobody has asked yet, or the server did not
answer) is None: then nothing is made and nothing is taken away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from rag_operator.api.errors import PermanentError, TransientError
from rag_operator.kube.client import Api
from rag_operator.kube.kinds import CUSTOM_METRICS, OPTIONAL, Kind

log = logging.getLogger(__name__)


class Discovery:
    """What each optional group and version serves, by plural name."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._served: dict[str, frozenset[str]] = {}

    async def run(self, period: float, changed: Callable[[], None]) -> None:
        """Ask now and then every `period` seconds, for ever; `changed` is called when an answer is another one."""
        while True:
            if await self.refresh():
                changed()
            await asyncio.sleep(period)

    async def asked(self) -> None:
        """Ask, where nobody has had an answer yet."""
        if not self._served:
            await self.refresh()

    async def refresh(self) -> bool:
        """Ask for every group; True when anything is other than it was known to be."""
        before = dict(self._served)
        for kind in {kind.api_version: kind for kind in (*OPTIONAL, *CUSTOM_METRICS)}.values():
            try:
                self._served[kind.api_version] = await self._api.served(kind)
            except (TransientError, PermanentError) as error:
                log.warning("discovery of %s: %s", kind.api_version, error)
        return self._served != before

    def serves(self, kind: Kind) -> bool | None:
        """Whether the kind is there; None where that is not known."""
        served = self._served.get(kind.api_version)
        return None if served is None else kind.plural in served

    def figures(self) -> frozenset[str] | None:
        """Pods' metrics that the custom metrics API has; None where that is not known."""
        known = [names for kind in CUSTOM_METRICS if (names := self._served.get(kind.api_version)) is not None]
        if len(known) < len(CUSTOM_METRICS) and not any(known):
            return None
        return frozenset(name.removeprefix("pods/") for names in known for name in names if name.startswith("pods/"))

    def gone(self, kind: Kind) -> None:
        """A write was told that there is no such kind: true until the next look."""
        self._served[kind.api_version] = self._served.get(kind.api_version, frozenset()) - {kind.plural}
