"""Reading an audit log: what happened after a mark, by whom, and which rights it took."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

WRITE_VERBS = frozenset({"create", "update", "patch", "delete", "deletecollection"})


class Used(NamedTuple):
    """A right that a request needed, in the terms of an RBAC rule."""

    user: str
    verb: str
    group: str
    resource: str
    subresource: str
    name: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One request to the API server."""

    id: str
    time: str
    """When the API server received it."""
    answered: str
    """When it had answered it; of a watch, when it began to. Both in UTC with microseconds: their order is text's."""
    user: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    path: str
    code: int
    message: str
    """Why it was not done; empty where it was."""
    user_agent: str
    """What the client calls itself; of the operator's own requests, with the replica's identity."""

    @property
    def writes(self) -> bool:
        """Whether the request was to change something."""
        return self.verb in WRITE_VERBS

    @property
    def used(self) -> Used:
        """The right that the request needed."""
        return Used(self.user, self.verb, self.group, self.resource, self.subresource, self.name)


def parse(line: str) -> Entry:
    """One line of the log; who acts for someone else by impersonation counts as that one."""
    event: dict[str, Any] = json.loads(line)
    target = event.get("objectRef", {})
    return Entry(
        id=event["auditID"],
        time=event["requestReceivedTimestamp"],
        answered=event["stageTimestamp"],
        user=event.get("impersonatedUser", event["user"]).get("username", ""),
        verb=event["verb"],
        group=target.get("apiGroup", ""),
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        path=event["requestURI"],
        code=event.get("responseStatus", {}).get("code", 0),
        message=event.get("responseStatus", {}).get("message", ""),
        user_agent=event.get("userAgent", ""),
    )


class Audit:
    """The audit log of one cluster; a mark is a place in it."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def mark(self) -> int:
        """The end of the log now, for `entries(after=…)`."""
        return self.log.stat().st_size if self.log.exists() else 0

    def entries(
        self, after: int = 0, *, user: str | None = None, verbs: Iterable[str] | None = None
    ) -> Iterator[Entry]:
        """The requests after the mark, each once (a watch is logged at its beginning and again at its end)."""
        wanted = None if verbs is None else frozenset(verbs)
        seen: set[str] = set()
        for line in self._lines(after):
            if user is not None and user not in line:
                continue
            entry = parse(line)
            if entry.id in seen or (user is not None and entry.user != user):
                continue
            seen.add(entry.id)
            if wanted is None or entry.verb in wanted:
                yield entry

    def writes(self, after: int = 0, *, user: str | None = None) -> list[Entry]:
        """The requests after the mark that were to change something, refused ones included."""
        return list(self.entries(after, user=user, verbs=WRITE_VERBS))

    def writes_per_user(self, after: int = 0) -> dict[str, int]:
        """How many such requests each user made."""
        counts: dict[str, int] = {}
        for entry in self.entries(after, verbs=WRITE_VERBS):
            counts[entry.user] = counts.get(entry.user, 0) + 1
        return counts

    def used(self, after: int = 0, *, user: str | None = None) -> set[Used]:
        """The rights that the requests on resources needed (reads are logged for service accounts only)."""
        return {entry.used for entry in self.entries(after, user=user) if entry.resource}

    def wait_for_quiet(self, seconds: float, *, user: str, deadline: float = 180.0) -> int:
        """Wait until the user has written nothing for so long; the mark at which the quiet began."""
        end = time.monotonic() + deadline
        mark, since = self.mark(), time.monotonic()
        while True:
            time.sleep(0.1)
            looked = time.monotonic()  # before the look: what is written after it was not seen to be absent
            found = self.writes(mark, user=user)
            if not found and looked - since >= seconds:
                return mark
            if looked > end:
                raise TimeoutError(f"{user} still writes after {deadline:.0f} s; last: {found[-3:]}")
            if found:
                mark, since = self.mark(), time.monotonic()

    def _lines(self, after: int) -> Iterator[str]:
        if not self.log.exists():
            return
        with self.log.open("rb") as log:
            log.seek(max(after - 1, 0))
            if after and not log.readline().endswith(b"\n"):  # the rest of a line that was being written at the mark
                return
            for line in log:
                if not line.endswith(b"\n"):  # still being written; what follows would be its rest
                    return
                yield line.decode()
