"""Clients of embedding and generation endpoints, and the built-in local models behind the same ports."""
