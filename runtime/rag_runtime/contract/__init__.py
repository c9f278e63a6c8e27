"""What operator and runtime agree on: configuration document, catalog and tenant-schema SQL, names of metrics.

Pure: no I/O, no clock, no randomness. The operator imports this package and nothing else of the runtime.
"""
