"""The harness is a package beside the tests; test folders are none."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
