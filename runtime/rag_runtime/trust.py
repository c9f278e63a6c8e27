"""Whom connections to Postgres trust."""

from __future__ import annotations

import ssl
from pathlib import Path


def server_trust(folder: Path, sslmode: str) -> dict[str, str]:
    """libpq's `sslrootcert` for the credentials in a folder: their own authority, else the public ones if one must be.

    The public ones are those of Python's own clients (SSL_CERT_FILE, or the system's): libpq's `system` is a folder of
    the machine that built psycopg's wheel, and without a file libpq refuses `verify-full`.
    """
    if (folder / "ca").exists():
        return {"sslrootcert": str(folder / "ca")}
    if sslmode != "verify-full":
        return {}
    return {"sslrootcert": ssl.get_default_verify_paths().cafile or "system"}
