"""The commands of `letta-gateway`: results to stdout, diagnostics to stderr, HTTP to a running gateway."""
