"""The report of `just bench`: paired measurements of one run, on one machine, to one receiver."""
