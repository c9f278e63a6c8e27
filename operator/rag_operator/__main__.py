"""`rag-operator run` reconciles; `check` says whether this process could; `orphans` lists what no RagTenant claims;
`release` is for before an uninstall."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from importlib.metadata import version

from rag_operator.engine.listing import list_orphans
from rag_operator.engine.settings import Settings, from_environment
from rag_operator.engine.uninstall import release
from rag_operator.handlers import logs, process
from rag_operator.kube.client import Api
from rag_operator.kube.kinds import PIPELINE, TENANT
from rag_operator.stores.database import Databases


def main() -> None:
    """Entry point of the console script."""
    parser = argparse.ArgumentParser(prog="rag-operator", description=__doc__)
    parser.add_argument("--version", action="version", version=version("rag-operator"))
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run the operator")
    commands.add_parser("check", help="exit 0 when the API server answers and knows our kinds")
    commands.add_parser("orphans", help="list what catalogs hold that no RagTenant claims; changes nothing")
    commands.add_parser("release", help="scale the operator to 0 and take its finalizers off; data and pods stay")
    arguments = parser.parse_args()
    try:
        settings = from_environment(os.environ, version("rag-operator"))
    except ValueError as error:
        sys.exit(f"rag-operator: {error}")
    logs.configure(settings.log_level)
    chosen = {"run": process.run, "check": _check, "orphans": _orphans, "release": _release}
    asyncio.run(chosen[arguments.command](settings))


async def _release(settings: Settings) -> None:
    api = await Api.connect(settings.kubeconfig)
    try:
        await release(api, settings, lambda line: print(line, flush=True))
    except TimeoutError:
        sys.exit(f"rag-operator: a replica keeps Lease {settings.namespace}/{settings.lease_name}: end it, try again")
    finally:
        await api.close()


async def _orphans(settings: Settings) -> None:
    api = await Api.connect(settings.kubeconfig)
    try:
        async with Databases(settings.identity) as databases:
            if not await list_orphans(api, databases, settings, lambda line: print(line, flush=True)):
                sys.exit(1)
    finally:
        await api.close()


async def _check(settings: Settings) -> None:
    api = await Api.connect(settings.kubeconfig)
    try:
        for kind in (PIPELINE, TENANT):
            for namespace in settings.watch_namespaces or (None,):
                count = len(await api.list(kind, namespace))
                sys.stdout.write(f"{kind.plural}: {count} in {namespace or 'all namespaces'}\n")
    finally:
        await api.close()


if __name__ == "__main__":
    main()
