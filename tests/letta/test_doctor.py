"""`letta-emitter doctor` in the environment of a real Letta: every hook is there, and what is wrong is said."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from environment import python


def doctor(redis_url: str, spool: Path) -> tuple[int, dict[str, Any]]:
    program = python().with_name("letta-emitter")
    env = {"LETTA_EMITTER_REDIS_URL": redis_url, "LETTA_EMITTER_SPOOL_DIR": str(spool)}
    done = subprocess.run(
        [str(program), "doctor", "--json"],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_every_hook_is_found_in_an_unmodified_letta(valkey, tmp_path):
    code, found = doctor(valkey.url, tmp_path)
    assert code == 0, found
    assert sum(check["name"].startswith("hook ") for check in found["checks"]) > 10
    assert all(check["ok"] for check in found["checks"])


def test_a_redis_that_is_away_is_the_one_thing_that_is_wrong(make_valkey, tmp_path):
    code, found = doctor(make_valkey().url, tmp_path)
    assert code == 1
    assert [check["name"] for check in found["checks"] if not check["ok"]] == ["redis"]
