"""What the tests with real receivers and senders have in common."""
