"""From a resource and what was resolved for it to manifests. Pure: no client, no clock, no randomness.

A manifest is a plain dict, ready for server-side apply. Every function returns all that the operator owns of an object
and nothing else, so what others set (replicas of an autoscaler, annotations of a person) stays theirs.
"""
