"""The process: kopf feeds the queue, the engine reconciles while this replica leads. Only this room imports kopf."""
