"""The engine: work queue, workers, observe, act, status, resync, leadership. Level-triggered; kopf only feeds it."""
