"""Decisions: what was observed → conditions and the next steps. Pure; ordered checks, the first that speaks wins."""
