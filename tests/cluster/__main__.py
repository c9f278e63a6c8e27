"""`python3 -m tests.cluster up|down|status|images|kubeconfig|tools [--name NAME]`."""

from __future__ import annotations

import argparse
import signal
import sys

from tests.cluster import backend, binaries
from tests.cluster.errors import ClusterError

_TERMINATED = 143
_COMMANDS = {
    "up": "start the cluster, building what is missing",
    "down": "remove the cluster and all that it left",
    "status": "what runs",
    "images": "build the images and bring them to the node",
    "kubeconfig": "print the path of the kubeconfig",
    "tools": "build kubectl, helm, kubeconform and the rest; print the folder they are in",
}


def main() -> int:
    """Run one command; 1 with a sentence on stderr when it can't be done."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.cluster", description="The local Kubernetes.")
    commands = parser.add_subparsers(dest="command", required=True)
    for command, help_ in _COMMANDS.items():
        commands.add_parser(command, help=help_).add_argument("--name", default="main", help="the cluster's name")
    asked = parser.parse_args()
    # As for Ctrl-C: an `up` that is asked to end cleans up after itself.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        _run(asked.command, asked.name)
    except ClusterError as error:
        print(f"{asked.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{asked.command}: interrupted", file=sys.stderr)
        return 130
    return 0


def _run(command: str, name: str) -> None:
    if command == "tools":
        binaries.ensure()
        print(binaries.bin_folder())
        return
    cluster = backend.choose(name)
    if command == "up":
        cluster.up()
    elif command == "down":
        cluster.down()
    elif command == "images":
        cluster.build_images()
    elif command == "status":
        print(cluster.status())
    elif command == "kubeconfig":
        if not cluster.is_up():
            raise ClusterError(f"cluster {name} is not up")
        print(cluster.kubeconfig())


if __name__ == "__main__":
    sys.exit(main())
