"""A real Letta server and what it needs: PostgreSQL, Valkey, a scripted model, a driver, a receiver."""
