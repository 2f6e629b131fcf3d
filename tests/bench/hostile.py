"""A healthy sink beside hostile ones, alone of the report: `just bench hostile`, or `just bench hostile --rounds 5`.

Prints the latency of the healthy one with and without them, in one run, and the gateway's memory.
"""

from __future__ import annotations

import sys

from all import main

if __name__ == "__main__":
    sys.argv[1:1] = ["--only", "hostile"]
    sys.exit(main())
