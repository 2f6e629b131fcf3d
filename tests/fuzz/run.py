"""The long look: the fuzz tests again and again, each time from another seed, for so many minutes: `just fuzz`."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent
EXAMPLES = "400"


def main(minutes: float, seed: int) -> int:
    ends_at, rounds = time.monotonic() + minutes * 60, 0
    seeds = random.Random(seed)
    while rounds == 0 or time.monotonic() < ends_at:
        chosen, rounds = seeds.randrange(2**32), rounds + 1
        print(f"round {rounds}: --hypothesis-seed={chosen}", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "-x", str(FOLDER), f"--hypothesis-seed={chosen}"]
        examples = os.environ.get("FUZZ_EXAMPLES", EXAMPLES)
        done = subprocess.run(command, check=False, env=os.environ | {"FUZZ_EXAMPLES": examples})
        if done.returncode:
            print(f"it fails; again: FUZZ_EXAMPLES={examples} {' '.join(command[1:])}")
            return done.returncode
    print(f"{rounds} rounds of {examples} examples for each parser and each operation: nothing failed.")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2])))
