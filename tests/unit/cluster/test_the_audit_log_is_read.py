"""Marks, filters and rights out of an audit log."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.audit import Audit, Used


def event(number: int, user: str, verb: str, name: str = "a", stage: str = "ResponseComplete", **more: Any) -> str:
    target = {"resource": "deployments", "apiGroup": "apps", "namespace": "rag", "name": name}
    document = {
        "auditID": str(number),
        "stage": stage,
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z",
        "stageTimestamp": "2026-01-01T00:00:00.250000Z",
        "requestURI": "/apis/apps/v1/namespaces/rag/deployments",
        "user": {"username": user},
        "verb": verb,
        "objectRef": target,
        "responseStatus": {"code": 200},
        **more,
    }
    return json.dumps(document) + "\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.write_text(event(1, "old", "create"))
    return path


def test_entries_before_the_mark_are_left_out(log: Path) -> None:
    audit = Audit(log)
    mark = audit.mark()
    with log.open("a") as more:
        more.write(event(2, "operator", "patch"))
    assert [entry.user for entry in audit.entries(mark)] == ["operator"]


def test_a_watch_counts_once_though_it_is_logged_twice(log: Path) -> None:
    log.write_text(event(1, "operator", "watch", stage="ResponseStarted") + event(1, "operator", "watch"))
    assert len(list(Audit(log).entries())) == 1


def test_a_line_that_is_still_being_written_is_left_out(log: Path) -> None:
    log.write_text(event(1, "operator", "get") + event(2, "operator", "get")[:40])
    assert len(list(Audit(log).entries())) == 1


def test_a_line_that_was_being_written_at_the_mark_is_before_it(log: Path) -> None:
    half, rest = event(2, "operator", "patch")[:40], event(2, "operator", "patch")[40:]
    audit = Audit(log)
    with log.open("a") as more:
        more.write(half)
        more.flush()
        mark = audit.mark()
        assert list(audit.entries(mark)) == []
        more.write(rest + event(3, "operator", "get"))
    assert [entry.id for entry in audit.entries(mark)] == ["3"]


def test_writes_are_counted_by_user(log: Path) -> None:
    log.write_text(
        event(1, "a", "patch") + event(2, "a", "get") + event(3, "b", "deletecollection") + event(4, "a", "create")
    )
    audit = Audit(log)
    assert audit.writes_per_user() == {"a": 2, "b": 1}
    assert [entry.verb for entry in audit.writes(user="a")] == ["patch", "create"]
    assert [entry.verb for entry in audit.entries(user="a", verbs={"get"})] == ["get"]


def test_a_used_right_has_the_parts_of_an_rbac_rule(log: Path) -> None:
    target = {"resource": "pods", "subresource": "log", "namespace": "rag", "name": "p"}
    log.write_text(event(1, "a", "get", objectRef=target) + event(2, "a", "get", objectRef={}))
    assert Audit(log).used() == {Used("a", "get", "", "pods", "log", "p")}


def test_who_acts_for_another_counts_as_that_other(log: Path) -> None:
    log.write_text(event(1, "admin", "get", impersonatedUser={"username": "tenant"}))
    assert [entry.user for entry in Audit(log).entries()] == ["tenant"]


def test_quiet_is_not_seen_while_someone_writes(log: Path) -> None:
    audit = Audit(log)

    class Noisy(Audit):
        def writes(self, after: int = 0, *, user: str | None = None) -> Any:
            with log.open("a") as more:
                more.write(event(after + 10, "operator", "patch"))
            return super().writes(after, user=user)

    assert audit.wait_for_quiet(0.2, user="operator") == audit.mark()
    with pytest.raises(TimeoutError, match="operator still writes"):
        Noisy(log).wait_for_quiet(0.5, user="operator", deadline=0.6)


def test_a_log_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "none")
    assert audit.mark() == 0
    assert list(audit.entries()) == []
