"""Views: what the log, the attempts and the subscriptions look like from outside."""
