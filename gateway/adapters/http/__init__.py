"""Everything that leaves over HTTP: the egress guard, and a sender that connects only where it lets it."""
