"""Deliver: the router, the lanes and the journal that turn the log into one stream per subscription."""
