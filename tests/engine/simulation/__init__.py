"""A simulation of delivery: the real dispatcher on a virtual clock, over stores that fail and processes that die."""
