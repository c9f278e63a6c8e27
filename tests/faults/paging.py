"""Lists in pages of one object, whose continue tokens expire: what stood at the first page is compacted meanwhile."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import web

from tests.faults.api_wire import Forward

SAID = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results."
)
"""kube-apiserver's words."""


@dataclass(slots=True)
class Expiring:
    """The API server's own pages and tokens, one object each; of each path the first `times` second pages are expired.

    With `go_on` the answer has the token with which the rest may be had as it is now, which is no consistent list.
    """

    times: int
    go_on: bool = False
    expired: Counter[str] = field(default_factory=Counter)
    whole: Counter[str] = field(default_factory=Counter)
    """By path: lists that got beyond their first page."""

    async def __call__(self, request: web.Request, forward: Forward) -> web.StreamResponse | None:
        if request.method != "GET" or "limit" not in request.query:
            return None
        token = request.query.get("continue", "")
        if token and self.expired[request.path] < self.times:
            self.expired[request.path] += 1
            return self._gone(token)
        self.whole[request.path] += bool(token)
        smaller = request.clone(rel_url=request.rel_url.update_query(limit="1"))
        async with await forward(smaller) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")

    def _gone(self, token: str) -> web.Response:
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}
        metadata = {"continue": _inconsistent(token)} if self.go_on else {}
        return web.json_response(status | {"message": SAID, "metadata": metadata}, status=410)


def _inconsistent(token: str) -> str:
    """The same place, at whatever version is there now: what kube-apiserver makes of an expired token."""
    plain = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    return base64.urlsafe_b64encode(json.dumps(plain | {"rv": -1}).encode()).decode().rstrip("=")
