"""The contracts as a registry that people build on: what each event type promises, version by version.

``catalogue.py`` has them in memory, for the door, for what is sent and for who reads; ``registering.py`` adds to
them; ``entities.py`` and ``model.py`` say them in the words of xRegistry 1.0-rc4.
"""
