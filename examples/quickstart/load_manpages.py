#!/usr/bin/env python3
"""Fill the quickstart's volume with real manual pages, so that the tenant `manpages` has something to answer from.

The pages are those of Debian's coreutils (105 of them): this machine's, or else from its package, or else whatever
section 1 holds here. Their roff becomes Markdown, a pod of the runtime's image takes them into the claim, and the
tenant is asked to ingest. Needs kubectl and Python, nothing else; run it as often as you like.
"""
# ruff: noqa: S603, S607  the programs are the person's own kubectl, dpkg and apt-get, and no shell is between

from __future__ import annotations

import argparse
import gzip
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "coreutils"
MOST = 120
POD = "manpages-loader"
MOUNT = "/manpages"
# Unpacks what comes in and removes what was there before and no longer is.
RECEIVE = f"""
import os, sys, tarfile
tar = tarfile.open(fileobj=sys.stdin.buffer, mode="r|")
kept = set()
for member in tar:
    tar.extract(member, {MOUNT!r}, filter="data")
    kept.add(member.name)
for name in os.listdir({MOUNT!r}):
    if name.endswith(".md") and name not in kept:
        os.remove(os.path.join({MOUNT!r}, name))
"""

# Typographic characters become plain ones, as people type them in questions.
_ESCAPES = {
    "-": "-", "e": "\\", " ": " ", "~": " ", "0": " ", "&": "", "%": "", ",": "", "/": "", "|": "", "^": "", ":": "",
    "(aq": "'", "(dq": '"', "(co": "(C)", "(bu": "*", "(em": "--", "(en": "-", "(lq": '"', "(rq": '"', "(cq": "'",
    "(oq": "'", "(rs": "\\", "(ti": "~", "(ha": "^", "(ga": "`", "'": "'", "`": "`", "(mu": "x", "(->": "->",
}  # fmt: skip
_ESCAPE = re.compile(r"\\(f(?:\(..|\[[^]]*\]|.)|s[+-]?\d+|\*(?:\(..|\[[^]]*\]|.)|\(..|\[[^]]*\]|.)")
_FONT_MACROS = {"B", "I", "BR", "RB", "BI", "IB", "IR", "RI", "SM", "SB"}


def main() -> None:
    """Gather, convert, and put the pages where the arguments say."""
    asked = arguments()
    with tempfile.TemporaryDirectory(prefix="manpages-") as scratch:
        files = gather(asked.pages, Path(scratch))
        pages = dict(convert(files))
    if not pages:
        sys.exit("no manual pages found on this machine: name a folder of them with --pages")
    print(f"{len(pages)} manual pages", flush=True)
    if asked.output:
        asked.output.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            (asked.output / name).write_text(text, encoding="utf-8")
        return
    load(asked, archive(pages))


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespace", default="rag", help="namespace of the quickstart (rag)")
    parser.add_argument("--claim", default="manpages", help="PersistentVolumeClaim to fill (manpages)")
    parser.add_argument("--tenant", default="manpages", help="RagTenant to ask for an ingestion (manpages)")
    parser.add_argument("--image", help="image with Python 3.11 or later (the one that the operator runs queries with)")
    parser.add_argument("--pages", type=Path, help="folder of manual pages to take instead")
    parser.add_argument("--output", type=Path, help="write the Markdown into this folder; no cluster is touched")
    parser.add_argument("--kubectl", default="kubectl", help="kubectl to use (kubectl)")
    return parser.parse_args()


def gather(folder: Path | None, scratch: Path) -> list[Path]:
    """Files of manual pages, sorted by name."""
    if folder:
        return sorted(path for path in folder.rglob("*") if path.is_file() and re.search(r"\.\d\w*(\.gz)?$", path.name))
    for source in (installed, downloaded):
        if found := source(scratch):
            return found
    section = Path("/usr/share/man/man1")
    return sorted(path for path in section.glob("*.1*") if not path.is_symlink())[:MOST]


def installed(_: Path) -> list[Path]:
    """The package's pages on this machine."""
    if not shutil.which("dpkg"):
        return []
    listed = subprocess.run(["dpkg", "-L", PACKAGE], capture_output=True, text=True, check=False).stdout.split()
    return sorted(path for path in map(Path, listed) if path.parent.name == "man1" and path.is_file())


def downloaded(scratch: Path) -> list[Path]:
    """The pages of the package as Debian publishes it, for machines that leave manual pages out."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return []
    subprocess.run(["apt-get", "download", PACKAGE], cwd=scratch, capture_output=True, check=False)
    for package in scratch.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package.name, "."], cwd=scratch, check=True)
    return sorted(scratch.glob("usr/share/man/man1/*"))


def convert(files: list[Path]) -> Iterator[tuple[str, str]]:
    """File name and Markdown of each page."""
    for path in files:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        page = markdown(raw.decode("utf-8", "replace"))
        if page:
            yield f"{path.name.removesuffix('.gz')}.md", page


def markdown(roff: str) -> str:
    """A manual page of the `man` macros as Markdown; empty for a mere reference to another page."""
    page = _Page()
    for line in roff.replace("\\\n", "").splitlines():
        page.take(line)
    return page.text()


class _Page:
    """Collects a page line by line."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._paragraph: list[str] = []
        self._term = False
        self._literal = False

    def take(self, line: str) -> None:
        if not line.startswith((".", "'")):
            self._words(line)
            return
        name, _, rest = line[1:].strip().partition(" ")
        if name in _FONT_MACROS:
            words = _split(rest)
            self._words(("" if len(name) == 2 and name not in {"SM", "SB"} else " ").join(words))
        else:
            self._macro(name, rest)

    def text(self) -> str:
        self._flush()
        joined = re.sub(r"\n{3,}", "\n\n", "\n".join(self._out)).strip()
        return f"{joined}\n" if "\n## " in joined else ""

    def _macro(self, name: str, rest: str) -> None:
        if name == "TH":
            words = [*_split(rest), "", ""]
            self._out.append(f"# {_plain(words[0]).lower()}({_plain(words[1])})\n")
        elif name in {"SH", "SS"}:
            self._flush()
            heading = _plain(" ".join(_split(rest)))
            self._out.append(f"\n{'##' if name == 'SH' else '###'} {heading}\n")
        elif name == "TP":
            self._flush()
            self._term = True
        elif name in {"PP", "P", "LP", "IP", "HP", "br", "sp"}:
            self._flush()
            if name == "IP" and rest:
                self._words(f"{' '.join(_split(rest)[:1])}: ")
        elif name in {"nf", "EX", "fi", "EE"}:
            self._flush()
            self._literal = name in {"nf", "EX"}

    def _words(self, line: str) -> None:
        plain = _plain(line)
        if self._literal:
            self._out.append(f"    {plain}")
        elif self._term and plain.strip():
            self._paragraph.append(f"- {plain.strip()}:")
            self._term = False
        elif not plain.strip():
            self._flush()
        else:
            self._paragraph.append(plain.strip())

    def _flush(self) -> None:
        if self._paragraph:
            self._out.append(" ".join(self._paragraph) + "\n")
        self._paragraph = []
        self._term = False


def _split(arguments_: str) -> list[str]:
    """Arguments of a macro: words, or text in quotes with "" for a quote."""
    found = re.findall(r'"((?:[^"]|"")*)"?|(\S+)', arguments_)
    return [quoted.replace('""', '"') if quoted else bare for quoted, bare in found]


def _plain(text: str) -> str:
    """Text without roff's escapes: fonts and sizes go, characters become themselves."""

    def replace(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "fs*" and len(code) > 1:
            return ""
        if code[0] == "[":
            code = f"({code[1:-1]}"
        return _ESCAPES.get(code, "" if code[0] == "(" else code)

    return _ESCAPE.sub(replace, re.sub(r'\\["#].*', "", text))


def archive(pages: dict[str, str]) -> bytes:
    """The pages as a tar, the same for the same pages."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in sorted(pages.items()):
            content = text.encode()
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(content), 0o644, 1_000_000_000
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def load(asked: argparse.Namespace, tar: bytes) -> None:
    """Run a pod with the claim, unpack the pages there, and ask the tenant to ingest them."""

    def kubectl(*words: str, given: bytes | None = None) -> str:
        command = [asked.kubectl, "--namespace", asked.namespace, *words]
        done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=300)
        if done.returncode:
            sys.exit(f"{' '.join(command[:6])} …: {done.stderr.decode().strip()}")
        return done.stdout.decode()

    image, policy = asked.image, "IfNotPresent"
    if not image:
        image, policy = released(kubectl("get", "deployments", "--all-namespaces", "-l", SELECTOR, "-o", "json"))
    pod = json.dumps(loader(asked.claim, image, policy)).encode()
    kubectl("delete", "pod", POD, "--ignore-not-found", "--wait=true")
    kubectl("apply", "-f", "-", given=pod)
    try:
        kubectl("wait", "--for=condition=Ready", f"pod/{POD}", "--timeout=180s")
        kubectl("exec", "-i", POD, "--", "python3", "-c", RECEIVE, given=tar)
    finally:
        kubectl("delete", "pod", POD, "--wait=false")
    print(f"claim {asked.namespace}/{asked.claim} is filled", flush=True)
    if asked.tenant in kubectl("get", "ragtenants", "-o", "jsonpath={.items[*].metadata.name}").split():
        request = f"rag-operator.dev/sync-requested=loaded-{int(time.time())}"
        kubectl("annotate", "ragtenant", asked.tenant, request, "--overwrite")
        print(f"tenant {asked.tenant} was asked to ingest", flush=True)


SELECTOR = "app.kubernetes.io/name=rag-operator,app.kubernetes.io/component=operator"


def released(deployments: str) -> tuple[str, str]:
    """The image of query pods and how it is pulled, as the operator's Deployment says."""
    for deployment in json.loads(deployments)["items"]:
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            values = {variable["name"]: variable.get("value", "") for variable in container.get("env", [])}
            if image := values.get("RAG_OPERATOR_RUNTIME_IMAGE"):
                return image, values.get("RAG_OPERATOR_IMAGE_PULL_POLICY") or "IfNotPresent"
    sys.exit("no operator found in this cluster: install the chart first, or name an image with --image")


def loader(claim: str, image: str, policy: str) -> dict[str, object]:
    """A pod that waits for pages, as the restricted pod security standard asks."""
    container = {
        "name": "loader",
        "image": image,
        "imagePullPolicy": policy,
        "command": ["python3", "-c", "import time; time.sleep(600)"],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [{"name": "pages", "mountPath": MOUNT}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "activeDeadlineSeconds": 900,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "pages", "persistentVolumeClaim": {"claimName": claim}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD}, "spec": spec}


if __name__ == "__main__":
    main()
