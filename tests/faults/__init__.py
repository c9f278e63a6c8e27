"""Faults on purpose: what may happen to an operator, played exactly, against real parts."""
