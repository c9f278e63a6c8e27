"""Certificates of one cluster: a CA, and leaves that it signs. Elliptic keys, since RSA would cost seconds."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.errors import ClusterError

_DAYS = "30"


class Authority:
    """A folder with ca.crt, ca.key and the pairs that this CA has signed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self) -> None:
        """Make the CA and the key pair that signs service account tokens."""
        self.folder.mkdir(parents=True, mode=0o700)
        _openssl(
            "req", "-x509", *_NEW_KEY, "-days", _DAYS, "-subj", "/CN=rag-operator local cluster",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-keyout", str(self.key("ca")), "-out", str(self.crt("ca")),
        )  # fmt: skip
        _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(self.key("sa")))
        _openssl("pkey", "-in", str(self.key("sa")), "-pubout", "-out", str(self.folder / "sa.pub"))

    def sign(self, name: str, user: str, groups: Sequence[str] = (), hosts: Sequence[str] = ()) -> None:
        """Make a pair for a Kubernetes user and its groups; `hosts` are the names and addresses that it may serve."""
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
        alternatives = ["-addext", "subjectAltName=" + ",".join(map(alternative_name, hosts))] if hosts else []
        _openssl(
            "req", "-x509", *_NEW_KEY, "-CA", str(self.crt("ca")), "-CAkey", str(self.key("ca")), "-days", _DAYS,
            "-subj", subject, "-addext", "basicConstraints=critical,CA:FALSE",
            "-addext", "extendedKeyUsage=clientAuth,serverAuth", *alternatives,
            "-keyout", str(self.key(name)), "-out", str(self.crt(name)),
        )  # fmt: skip

    def crt(self, name: str) -> Path:
        """The path of a certificate."""
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        """The path of a private key."""
        return self.folder / f"{name}.key"


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def alternative_name(host: str) -> str:
    """The form in which a certificate names a host: IP:… for an address, DNS:… for a name."""
    return f"IP:{host}" if host.replace(".", "").isdigit() else f"DNS:{host}"


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
