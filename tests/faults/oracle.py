"""What is compared after a fault: all that stands in Kubernetes and Postgres, with what may differ masked.

Masked are uids, times and versions, random secrets, and the two random ids that names derive from (catalog and
incarnation), which become words; content hashes in names of ConfigMaps follow from those.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from tests.support.catalog import CATALOGS
from tests.support.operator import World

Ports: TypeAlias = Mapping[int, str]
"""The wires', which are random, by the word that takes their place."""
KINDS = (
    "ragpipelines,ragtenants,secrets,configmaps,services,deployments,statefulsets,cronjobs,jobs,"
    "horizontalpodautoscalers,poddisruptionbudgets,networkpolicies,persistentvolumeclaims"
)
IGNORED_META = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "namespace")
IGNORED_ANNOTATIONS = ("rag-operator.dev/applied", "kubectl.kubernetes.io/last-applied-configuration")
NOT_OURS = ("kube-root-ca.crt",)
ROLES = """
SELECT rolname, rolcanlogin, rolinherit, rolcreaterole FROM pg_roles WHERE starts_with(rolname, %s) ORDER BY 1
"""
MEMBERS = """
SELECT r.rolname, m.rolname FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m
ON m.oid = a.member WHERE starts_with(r.rolname, %s) ORDER BY 1, 2
"""
RELATIONS = """
SELECT n.nspname, c.relname, c.relkind::text, pg_get_userbyid(c.relowner) FROM pg_class c JOIN pg_namespace n
ON n.oid = c.relnamespace WHERE n.nspname LIKE 'rag\\_%' ORDER BY 1, 2
"""
CATALOG_ROWS = """
SELECT t.namespace, t.name, t.state, t.schema, cardinality(t.api_keys), t.shard, p.open, p.active
FROM {c}.tenant t LEFT JOIN {c}.pointer p ON p.tenant = t.id ORDER BY t.name
"""
LOGIN_ROWS = "SELECT shard, role FROM {c}.query_login ORDER BY shard"
HEX = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
HASHED = re.compile(r"(?:(?<=-runtime-)|(?<=-ingest-))[0-9a-f]{6,}|\b[0-9a-f]{12,64}\b")
ROLE = re.compile(r"(INCARNATION-[a-z0-9-]+?)[0-9a-f]{2}(?=_(?:ingest|read))")
ADDRESS = re.compile(r"\b10\.\d+\.\d+\.\d+\b")
VERSION = re.compile(r"(?<=UUID[/.:-])\d+")


def snapshot(here: World, dsn: str, ports: Ports) -> list[str]:
    """Everything, a line each, sorted: two snapshots are compared as lists."""
    return lines(here, dsn, ports, objects(here))


def lines(here: World, dsn: str, ports: Ports, items: list[dict[str, Any]]) -> list[str]:
    """These objects and all of the database, masked and sorted."""
    text = [json.dumps(_plain(_in_order(item, ports)), sort_keys=True) for item in items] + _rows(dsn)
    words = _words(here, dsn) | {f'"port": {port},': f'"port": "{word}",' for port, word in ports.items()}
    return sorted(_masked(line, words, here.namespace) for line in text)


def objects(here: World) -> list[dict[str, Any]]:
    """All that the operator reads or makes in the namespace."""
    items: list[dict[str, Any]] = json.loads(here.kubectl("get", KINDS, "-o", "json"))["items"]
    return [item for item in items if item["metadata"]["name"] not in NOT_OURS]


def _in_order(item: dict[str, Any], ports: Ports) -> dict[str, Any]:
    """A policy's ports stand by number, and a wire's is a random one: they go last."""
    if item["kind"] != "NetworkPolicy":
        return item
    ordered = {
        way: [
            rule
            | ({"ports": sorted(rule["ports"], key=lambda p: ports.get(p.get("port"), ""))} if "ports" in rule else {})
            for rule in item["spec"][way]
        ]
        for way in ("ingress", "egress")
        if way in item["spec"]
    }
    return item | {"spec": item["spec"] | ordered}


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    meta = {key: value for key, value in item["metadata"].items() if key not in IGNORED_META}
    annotations = {k: v for k, v in meta.pop("annotations", {}).items() if k not in IGNORED_ANNOTATIONS}
    plain = item | {"metadata": meta | {"annotations": annotations}}
    if item["kind"] == "Secret":
        plain["data"] = sorted(item.get("data", {}))
    return plain


def _rows(dsn: str) -> list[str]:
    lines: list[str] = []
    with psycopg.connect(dsn, autocommit=True) as admin:
        lines += [f"relation {row}" for row in admin.execute(RELATIONS)]
        for (catalog,) in admin.execute(CATALOGS).fetchall():
            lines += [f"role {row}" for row in admin.execute(ROLES, [catalog])]
            lines += [f"member {row}" for row in admin.execute(MEMBERS, [catalog])]
            admin.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(f"{catalog}_owner")))
            for what, statement in (("tenant", CATALOG_ROWS), ("login", LOGIN_ROWS)):
                filled = sql.SQL(statement).format(c=sql.Identifier(catalog))
                lines += [f"{what} {row}" for row in admin.execute(filled)]
            admin.execute("RESET ROLE")
    return lines


def _words(here: World, dsn: str) -> dict[str, str]:
    """The random ids, as they stand in names, by the word that takes their place."""
    words: dict[str, str] = {}
    for item in json.loads(here.kubectl("get", "ragpipelines,ragtenants", "-o", "json"))["items"]:
        status = item.get("status", {})
        if catalog := status.get("catalogID"):
            words[catalog.replace("-", "")[:12]] = "CATALOG"
        if schema := status.get("schema"):
            words[schema.rsplit("_", 1)[1]] = f"INCARNATION-{item['metadata']['name']}"
    with psycopg.connect(dsn) as admin:
        for (name,) in admin.execute(CATALOGS).fetchall():
            words.setdefault(str(name).removeprefix("rag_"), "CATALOG")
    return words


def _masked(line: str, words: dict[str, str], namespace: str) -> str:
    for random, word in words.items():
        line = line.replace(random, word)
    line = HEX.sub("UUID", TIME.sub("TIME", line)).replace(namespace, "NAMESPACE")
    line = ADDRESS.sub("ADDRESS", ROLE.sub(r"\1", line))
    return VERSION.sub("N", HASHED.sub("HASH", line))
