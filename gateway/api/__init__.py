"""The HTTP API: a thin face over the flows and views. INTERFACE.md's paths, statuses and bodies."""
