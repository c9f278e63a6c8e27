"""A state that an earlier operator left, as files: objects with their managedFields, the database with its roles.

What belongs to the place where it was recorded is a word in the files (the namespace) or is given anew when they are
loaded: uids, resourceVersions, addresses, and every password and key, so that no secret value is in them.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from rag_operator.api import names
from rag_operator.build import config
from rag_operator.decide.tenant import run_request
from rag_runtime.contract.config import IngestConfig
from tests.support.catalog import CATALOGS
from tests.support.operator import World
from tests.support.postgres import INSTALLED, SUPERUSER, Server

Object = dict[str, Any]
RECORDED = Path(__file__).parent / "recorded"
NAMESPACE = "the-namespace"
SERVER_SETS = ("uid", "resourceVersion", "creationTimestamp", "generation", "selfLink")
FIRST = ("RagPipeline", "RagTenant", "Secret")
"""What others name by uid or version, in this order."""
PATHS = {
    "RagPipeline": ("apis/rag-operator.dev/v1alpha1", "ragpipelines"),
    "RagTenant": ("apis/rag-operator.dev/v1alpha1", "ragtenants"),
    "Secret": ("api/v1", "secrets"),
    "ConfigMap": ("api/v1", "configmaps"),
    "Service": ("api/v1", "services"),
    "ServiceAccount": ("api/v1", "serviceaccounts"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "CronJob": ("apis/batch/v1", "cronjobs"),
    "Job": ("apis/batch/v1", "jobs"),
    "HorizontalPodAutoscaler": ("apis/autoscaling/v2", "horizontalpodautoscalers"),
    "PodDisruptionBudget": ("apis/policy/v1", "poddisruptionbudgets"),
    "NetworkPolicy": ("apis/networking.k8s.io/v1", "networkpolicies"),
}
NOT_OURS = ("kube-root-ca.crt", "default")
MERGE = "application/merge-patch+json"
ROLES = """
SELECT rolname, rolcanlogin, rolinherit, rolconnlimit, shobj_description(oid, 'pg_authid') FROM pg_roles
WHERE rolname ~ '^rag_[0-9a-f]{12}_' ORDER BY 1
"""
MEMBERS = """
SELECT r.rolname, m.rolname, a.inherit_option, a.set_option, a.admin_option FROM pg_auth_members a
JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
WHERE r.rolname ~ '^rag_[0-9a-f]{12}_' ORDER BY 1, 2
"""


def write(here: World, dsn: str, folder: Path) -> None:
    """Write what stands in the namespace and the database."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = ",".join(plural for _, plural in PATHS.values())
    items = json.loads(here.kubectl("get", kinds, "-o", "json", "--show-managed-fields"))["items"]
    ours = [_without_values(item) for item in items if item["metadata"]["name"] not in NOT_OURS]
    ours.sort(key=lambda item: (_rank(item), item["kind"], item["metadata"]["name"]))
    (folder / "objects.json").write_text(_placeless(here, json.dumps(ours, indent=1, sort_keys=True)) + "\n")
    (folder / "database.sql").write_text(_placeless(here, _roles(dsn) + _dump(dsn)))


def _placeless(here: World, text: str) -> str:
    return text.replace(here.namespace, NAMESPACE)


def _rank(item: Object) -> int:
    return FIRST.index(item["kind"]) if item["kind"] in FIRST else len(FIRST)


def _without_values(item: Object) -> Object:
    """Of Secrets only user names are kept."""
    if item["kind"] == "Secret":
        item["data"] = {
            key: value if key.endswith(".username") else "" for key, value in sorted(item.get("data", {}).items())
        }
        item["metadata"].get("annotations", {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
    return item


def _dump(dsn: str) -> str:
    parts = conninfo_to_dict(dsn)
    command = [
        str(INSTALLED / "bin" / "pg_dump"), "-h", str(parts["host"]), "-p", str(parts["port"]), "-U", SUPERUSER,
        "-d", str(parts["dbname"]), "--schema=rag_*", "--inserts",
    ]  # fmt: skip
    text = subprocess.run(
        command, check=True, capture_output=True, text=True, env={"PGPASSWORD": str(parts["password"])}
    ).stdout
    kept = [line for line in text.splitlines() if line and not line.startswith(("--", "\\"))]
    return "\n".join(kept) + "\n"


def _roles(dsn: str) -> str:
    lines: list[str] = []
    with psycopg.connect(dsn) as admin:
        mine = tuple(f"{schema}_" for (schema,) in admin.execute(CATALOGS).fetchall())
        for name, login, inherits, limit, mark in admin.execute(ROLES):
            words = (
                f"{'LOGIN' if login else 'NOLOGIN'} {'INHERIT' if inherits else 'NOINHERIT'} CONNECTION LIMIT {limit}"
            )
            lines += [f"CREATE ROLE {name} {words};", f"COMMENT ON ROLE {name} IS '{mark}';"]
        for role, member, inherits, sets, admins in admin.execute(MEMBERS):
            options = f"INHERIT {inherits}, SET {sets}, ADMIN {admins}"
            lines.append(f"GRANT {role} TO {member} WITH {options};")
    return "\n".join(line for line in lines if any(role in line for role in mine)) + "\n"


@dataclass(slots=True)
class Loading:
    """Puts a recorded state into a namespace and a database; `given` is the data of the Secrets that a person made."""

    here: World
    server: Server
    dsn: str
    given: dict[str, dict[str, str]]
    words: dict[str, str] = field(default_factory=dict)
    """What was recorded, and what stands for it here: uids, versions, the namespace."""
    digests: dict[str, str] = field(default_factory=dict)
    """Of each tenant's configuration, which names its first run; the namespace is in it."""

    def load(self, folder: Path) -> None:
        """All of it. The objects come with the managers that they had."""
        self.words[NAMESPACE] = self.here.namespace
        for item in json.loads((folder / "objects.json").read_text()):
            self._create(json.loads(self._here(json.dumps(item))))
        superuser = self.server.dsn(SUPERUSER, str(conninfo_to_dict(self.dsn)["dbname"]))
        with psycopg.connect(superuser, autocommit=True) as admin:
            admin.execute(self._here((folder / "database.sql").read_text()).encode())
            admin.execute("SET search_path TO DEFAULT")
            for (schema,) in admin.execute(CATALOGS).fetchall():
                later = f"UPDATE {schema}.reader_lease SET expires_at = now() + interval '1 hour'"
                admin.execute(later.encode())

    def _here(self, text: str) -> str:
        known = "|".join(sorted(map(re.escape, self.words), key=len, reverse=True))
        return re.sub(known, lambda found: self.words[found[0]], text)

    def _create(self, item: Object) -> None:
        client, (group, plural) = self.here.api.client, PATHS[item["kind"]]
        meta = item["metadata"]
        before, managers, status = (
            f"{meta['uid']}/{meta['resourceVersion']}",
            meta["managedFields"],
            item.pop("status", None),
        )
        item["metadata"] = {key: value for key, value in meta.items() if key not in (*SERVER_SETS, "managedFields")}
        _as_new(item)
        if (renamed := _config_name(item)) is not None:
            self.words[meta["name"]] = renamed
            meta["name"] = item["metadata"]["name"] = renamed
        if item["kind"] == "Job":
            request = run_request(self.digests[meta["labels"][names.LABEL_TENANT]], "")
            item["metadata"]["annotations"][names.ANNOTATION_SYNC_REQUESTED] = request
            meta["name"] = item["metadata"]["name"] = names.ingest_job(meta["labels"][names.LABEL_TENANT], request)
        if item["kind"] == "ConfigMap" and names.LABEL_TENANT in item["metadata"].get("labels", {}):
            document = IngestConfig.model_validate_json(item["data"][config.CONFIG_FILE])
            self.digests[meta["labels"][names.LABEL_TENANT]] = document.digest()
        if item["kind"] == "Secret":
            item["data"] = self._data(meta["name"], item["data"])
        collection = f"/{group}/namespaces/{self.here.namespace}/{plural}"
        path = f"{collection}/{meta['name']}"
        made = client.create(collection, item)
        if status and item["kind"] in ("RagPipeline", "RagTenant"):
            client.call("PATCH", f"{path}/status", {"status": status}, MERGE)
        stands = client.call("PATCH", path, {"metadata": {"managedFields": managers}}, MERGE)
        self.words[before] = f"{made['metadata']['uid']}/{stands['metadata']['resourceVersion']}"
        self.words[meta["uid"]] = made["metadata"]["uid"]

    def _data(self, name: str, recorded: dict[str, str]) -> dict[str, str]:
        parts = conninfo_to_dict(self.dsn)
        place = {
            "host": str(parts["host"]),
            "port": str(parts["port"]),
            "dbname": str(parts["dbname"]),
            "sslmode": "prefer",
        }
        given = self.given.get(name, {})
        return {
            key: value
            or base64.b64encode((given.get(key) or place.get(key) or secrets.token_urlsafe(24)).encode()).decode()
            for key, value in recorded.items()
        }


def _config_name(item: Object) -> str | None:
    """A configuration is named by its content, which names the namespace."""
    text, labels = item.get("data", {}).get(config.CONFIG_FILE), item["metadata"].get("labels", {})
    if item["kind"] != "ConfigMap" or text is None:
        return None
    if labels[names.LABEL_COMPONENT] == names.COMPONENT_QUERY:
        return names.runtime_config(labels[names.LABEL_PIPELINE], config.content_hash(text))
    return names.ingest_config(labels[names.LABEL_TENANT], config.content_hash(text))


def _as_new(item: Object) -> None:
    """Without what the API server gives out: addresses of Services, and the marks by which a Job knows its pods."""
    spec = item.get("spec", {})
    for name in ("clusterIP", "clusterIPs"):
        spec.pop(name, None)
    if item["kind"] == "Job":
        spec.pop("selector", None)
        for labels in (item["metadata"].get("labels", {}), spec["template"]["metadata"].get("labels", {})):
            for name in [name for name in labels if name.endswith(("controller-uid", "job-name"))]:
                del labels[name]
