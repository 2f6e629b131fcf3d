"""Whether a new version of a contract may follow the older ones (CONFORMANCE 44): pure, bounded, deterministic.

The publisher moves first, and consumers that know an older version must go on reading: whatever the new version
accepts, each older one accepts as well. What cannot be decided counts as breaking, and says so.
"""

from contracts.compatibility.judging import Breaking, Compatibility, breaking_changes

__all__ = ["Breaking", "Compatibility", "breaking_changes"]
