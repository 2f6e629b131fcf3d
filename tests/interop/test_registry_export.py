"""xrcg, a code generator for xRegistry, reads what the registry exports (CONFORMANCE 42)."""

import subprocess
from typing import Any

import pytest
from peering.environments import python_of

pytestmark = pytest.mark.interop

EXPORT = "/registry/export"


def test_xrcg_takes_the_export(shared: Any) -> None:
    if shared.client.get(EXPORT).status_code == 404:
        pytest.xfail(f"this gateway has no {EXPORT} yet; the test runs as soon as it has")
    program = python_of("xrcg").with_name("xrcg")
    done = subprocess.run(
        [str(program), "validate", "--definitions", shared.said["url"] + EXPORT],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    # It ends with 0 also where it finds faults.
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("OK:"), done.stdout + done.stderr
