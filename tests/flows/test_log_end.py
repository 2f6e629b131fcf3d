"""A log that lost its last rows, as an operator meets it (S3a): nothing is appended behind the hole."""

import contextlib
import os
import sqlite3
import subprocess
import sys


def test_a_log_that_lost_its_end_is_neither_served_nor_derived_from(make_gateway, valkey, make_event):
    gateway = make_gateway(GATEWAY_REDIS_URL=valkey.url).start()
    *_, last = gateway.publish(*(make_event() for _ in range(5)))
    assert gateway.stop() == 0
    with contextlib.closing(sqlite3.connect(gateway.data_dir / "gateway.db")) as database, database:
        database.execute("DELETE FROM log_entry WHERE position > ?", (last - 2,))
    for arguments in (["dev", "--port", "0"], ["rebuild"]):
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *arguments, "--data-dir", str(gateway.data_dir)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=os.environ | gateway.env,
        )
        assert done.returncode == 1, done.stderr
        assert f"ends at position {last}, and the last row is {last - 2}." in done.stderr
        assert "one backup" in done.stderr
        assert "Traceback" not in done.stderr
    assert gateway.rows("SELECT max(position) FROM log_entry") == [(last - 2,)]
