"""Requests lost while an older release's own code is upgraded to this checkout's, rolled back, and upgraded again.

    python -m tests.bench.upgrade [REVISION]

The older release is a commit of this repository: its images and its chart, as they were. One question of four is a new
one, which the database must answer. What no release may touch is compared before and after.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.asking import api_key
from tests.bench.lost import Scene, measure, table
from tests.bench.place import PIPELINE, apply, conditions, pages, resources
from tests.install import CHART, RELEASE, ROOT, Tools, alone, chosen_images, tools
from tests.support.load import Load, questions
from tests.support.operator import eventually

FORMER = "0f2f944"
"""The last commit before query logins took turns; there is no release yet."""
OLD, NEW = "0.0.9", "dev"
RATE = 50
QUESTION = "What does the operator write when idle?"
_RELEASE_IMAGES = "from tests.cluster import backend; backend.choose('main').release_images('{}')"


@contextmanager
def former(revision: str) -> Iterator[Path]:
    """The chart of the commit, whose images are on the node; this checkout's images are too, as NEW."""
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder) / "checkout"
        _run("git", "worktree", "add", "--detach", str(there), revision, at=ROOT)
        try:
            _run(sys.executable, "-m", "tests.cluster", "images", at=there)
            _run(sys.executable, "-c", _RELEASE_IMAGES.format(OLD), at=there)
            _run(sys.executable, "-m", "tests.cluster", "images", at=ROOT)
            chart = there / "charts" / RELEASE
            about = chart / "Chart.yaml"
            about.write_text(
                re.sub(r"^(version|appVersion): .*$", rf"\1: {OLD}", about.read_text(), flags=re.MULTILINE)
            )
            yield chart
        finally:
            _run("git", "worktree", "remove", "--force", str(there), at=ROOT)


def _run(*command: str, at: Path) -> None:
    subprocess.run(command, cwd=at, check=True, stdout=subprocess.DEVNULL)


class Releases:
    """One installation in a namespace of its own, and what is done to it."""

    def __init__(self, using: Tools, namespace: str, chart: Path) -> None:
        self._using, self._namespace, self._chart = using, namespace, chart
        self.scene = Scene(using, namespace)

    def install(self) -> None:
        """The older release with a tenant that is Ready."""
        self._helm("install", str(self._chart), OLD)
        apply(self._using, self._namespace, PIPELINE, *resources("acme", pages(10)))
        self.scene.kubectl("wait", "ragtenant/acme", "--for=condition=Ready", "--timeout=180s")
        self._runs(OLD)

    def upgrade(self) -> None:
        """To this checkout."""
        self._helm("upgrade", str(CHART), NEW)
        self._runs(NEW)

    def rollback(self) -> None:
        """To the older release."""
        self._using.helm("rollback", RELEASE, "1", "-n", self._namespace, "--wait", "--timeout=180s")
        self._runs(OLD)

    def rotate(self) -> None:
        """Another login of the query pods, which the kubelet is made to bring at once."""
        self.scene.renew("support-query-db")
        self.scene.kubectl("annotate", "pods", "-l", "app.kubernetes.io/component=query", f"look={time.time():.0f}")
        time.sleep(20)

    def kept(self) -> dict[str, Any]:
        """What no release may touch."""
        tenant = self._using.get("ragtenant", "acme", self._namespace)["status"]
        active = {part: tenant["index"]["active"][part] for part in ("revision", "promotedAt", "chunks")}
        stores = self.scene.kubectl(
            "get", "pods", "-l", "app.kubernetes.io/component in (postgres, cache)", "-o", "name"
        )
        catalog = self._using.get("ragpipeline", "support", self._namespace)["status"]["catalogID"]
        key = api_key(self._using, self._namespace, "acme")
        return {"schema": tenant["schema"], "index": active, "stores": stores, "catalog": catalog, "key": key}

    def _helm(self, command: str, chart: str, tag: str) -> None:
        values = [*chosen_images(tag), f"watchNamespaces={{{self._namespace}}}", "rbac.aggregateToDefaultRoles=false"]
        sets = [word for value in values for word in ("--set", value)]
        owned = ("--take-ownership",) if command == "install" else ()
        self._using.helm(command, RELEASE, chart, "-n", self._namespace, *owned, "--wait", "--timeout=180s", *sets)

    def _runs(self, tag: str) -> None:
        def moved() -> bool:
            status = self._using.get("ragpipeline", "support", self._namespace).get("status", {})
            return bool(status.get("runtimeVersion") == tag and not status.get("runtimeMove"))

        eventually(moved, f"the pipeline runs {tag}", 180)
        self.scene.ready()


def steps(releases: Releases) -> dict[str, Callable[[], None]]:
    """What is done, by what it is called in the table; after each, what was kept is asked."""
    before = releases.kept()

    def checked(act: Callable[[], None]) -> None:
        act()
        assert releases.kept() == before, "data, identities and stores are as before"

    acts: dict[str, Callable[[], None]] = {
        "nothing, for comparison": lambda: time.sleep(5),
        "upgraded": releases.upgrade,
        "the query pods' login rotated": releases.rotate,
        "rolled back": releases.rollback,
        "upgraded again": releases.upgrade,
    }
    return {name: partial(checked, act) for name, act in acts.items()}


@contextmanager
def installed(using: Tools, chart: Path) -> Iterator[tuple[Releases, str]]:
    """In a namespace that goes again."""
    namespace = f"upgrade-{secrets.token_hex(3)}"
    using.kubectl("create", "namespace", namespace)
    releases = Releases(using, namespace, chart)
    try:
        releases.install()
        yield releases, namespace
    finally:
        releases.scene.kubectl("delete", "ragtenant", "--all", "--timeout=120s")
        releases.scene.kubectl("delete", "ragpipeline", "--all", "--timeout=60s")
        using.helm("uninstall", RELEASE, "-n", namespace, "--ignore-not-found", "--wait")
        using.kubectl("delete", "namespace", namespace, "--wait=false")


def main() -> int:
    """Measure once and print the table; 1 when a request was lost."""
    revision, using = sys.argv[1] if len(sys.argv) > 1 else FORMER, tools()
    with alone(using), former(revision) as chart, installed(using, chart) as (releases, namespace):
        address = f"http://{using.get('service', 'support', namespace)['spec']['clusterIP']}:8000"
        load = Load(address, api_key(using, namespace, "acme"), questions(QUESTION, 4), RATE)
        phases = asyncio.run(measure(steps(releases), load))
    print(f"from {revision} to this checkout, {RATE} requests/s; {conditions()}\n\n{table(phases)}")
    return 1 if any(phase.lost for phase in phases) else 0


if __name__ == "__main__":
    sys.exit(main())
