"""`make demo`: the chart, the quickstart, real documents, a question to each tenant; the cluster stays up."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.asking import api_key, forwarded, post
from tests.install import ROOT, Tools, install, tools

NAMESPACE = "rag"
PIPELINE = "support"
QUICKSTART = ROOT / "examples" / "quickstart"
PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a tenant, and the document that must be among the first three sources."""

    tenant: str
    text: str
    document: str


QUESTIONS = (
    Question("docs", "What happens to a tenant's data when the RagTenant is deleted?", "deletion"),
    Question("manpages", "How do I sort lines of text numerically?", "sort"),
)


class Steps:
    """Progress lines with the time since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        """One line."""
        print(f"[{time.monotonic() - self._start:5.0f} s] {text}", flush=True)


def main() -> int:
    """Run the demo; 1 when a promise of it was not kept."""
    steps = Steps()
    using = tools()
    steps.say("helm install rag-operator")
    install(using)
    steps.say("kubectl apply -k examples/quickstart")
    using.kubectl("apply", "-k", str(QUICKSTART))
    steps.say("real manual pages go to the tenant `manpages`")
    loader = [sys.executable, str(QUICKSTART / "load_manpages.py")]
    subprocess.run(loader, check=True, env=_on_path(using))
    _wait_ready(using, steps)
    print(using.kubectl("get", "ragp,ragt", "-n", NAMESPACE))
    with forwarded(using, NAMESPACE, f"service/{PIPELINE}") as address:
        kept = [_ask(using, address, question) for question in QUESTIONS]
        kept.append(_is_isolated(using, address))
    steps.say("done" if all(kept) else "a promise was not kept, see above")
    print(_look_around(using))
    return 0 if all(kept) else 1


def _on_path(using: Tools) -> dict[str, str]:
    folder = str(Path(using.kubectl_program).parent)
    environment = using.environment()
    return environment | {"PATH": f"{folder}:{environment['PATH']}"}


def _wait_ready(using: Tools, steps: Steps) -> None:
    deadline = time.monotonic() + PATIENCE
    shown = ""
    while time.monotonic() < deadline:
        states = {
            f"{kind} {name}": _ready(using.get(kind, name, NAMESPACE))
            for kind, name in (("ragpipeline", PIPELINE), *(("ragtenant", q.tenant) for q in QUESTIONS))
        }
        line = "; ".join(f"{name}: {state}" for name, state in states.items())
        if line != shown:
            steps.say(line)
            shown = line
        if all(state.startswith("Ready") for state in states.values()):
            return
        time.sleep(1)
    raise SystemExit(f"demo: not Ready within {PATIENCE:.0f} s")


def _ready(live: dict[str, Any]) -> str:
    for condition in live.get("status", {}).get("conditions", []):
        if condition["type"] == "Ready":
            progress = live["status"].get("index", {}).get("building") or {}
            percent = f" {progress['percent']} %" if progress.get("percent") else ""
            return "Ready" if condition["status"] == "True" else condition["reason"] + percent
    return "unseen"


def _ask(using: Tools, address: str, question: Question) -> bool:
    key = api_key(using, NAMESPACE, question.tenant)
    status, answer = post(f"{address}/v1/query", key, {"question": question.text})
    print(f"\n{question.tenant} ? {question.text}")
    if status != 200:
        print(f"  {status} {answer}")
        return False
    print(textwrap.indent(textwrap.fill(answer["answer"], 100), "  "))
    for source in answer["sources"]:
        print(f"  [{source['n']}] {source['path']}  {source['score']:.2f}")
    found = any(question.document in source["path"] for source in answer["sources"][:3])
    print(f"  {answer['latency_ms']:.0f} ms; the right document is among the first three: {'yes' if found else 'NO'}")
    return found


def _is_isolated(using: Tools, address: str) -> bool:
    """Each tenant's key, asked the other's question, must find nothing of the other."""
    kept = True
    for asked, other in (QUESTIONS, QUESTIONS[::-1]):
        key = api_key(using, NAMESPACE, asked.tenant)
        status, found = post(f"{address}/v1/search", key, {"question": other.text})
        foreign = [hit["path"] for hit in found.get("sources", []) if other.document in hit["path"]]
        kept = kept and status == 200 and not foreign
        print(f"\n{asked.tenant}'s key, asked «{other.text}»: {len(foreign)} documents of {other.tenant}")
    return kept


def _look_around(using: Tools) -> str:
    return textwrap.dedent(f"""
        The cluster stays up. Look around:
          export KUBECONFIG={using.kubeconfig}
          alias kubectl={using.kubectl_program}
          kubectl get ragp,ragt -n {NAMESPACE}
          kubectl describe ragt docs -n {NAMESPACE}
          kubectl get pods,cronjobs,secrets -n {NAMESPACE}
          kubectl port-forward -n {NAMESPACE} service/{PIPELINE} 8000   # then: http://127.0.0.1:8000/openapi.json
        Take it down:
          make cluster-down
    """)


if __name__ == "__main__":
    sys.exit(main())
