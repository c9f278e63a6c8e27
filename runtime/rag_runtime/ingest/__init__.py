"""Ingestion: sync (sources → documents) and index (documents → revision)."""
