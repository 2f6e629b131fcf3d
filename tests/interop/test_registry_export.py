"""xrcg, a code generator for xRegistry, reads what the registry exports (CONFORMANCE 42)."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from peering.environments import python_of

pytestmark = pytest.mark.interop

EXPORT = "/registry/export"


def one_of_both(value: Any) -> Any:
    """A collection, or where it is to be found. An export has both, xrcg's schema of a document takes either."""
    if isinstance(value, dict):
        kept = {
            name: it
            for name, it in value.items()
            if name.removesuffix("url") == name or name[:-3] not in value
        }
        return {name: one_of_both(it) for name, it in kept.items()}
    return [one_of_both(it) for it in value] if isinstance(value, list) else value


def validated(document: Any, at: Path) -> str:
    at.write_text(json.dumps(document))
    program = python_of("xrcg").with_name("xrcg")
    done = subprocess.run(
        [str(program), "validate", "--definitions", str(at)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout  # it ends with 0 also where it finds faults


def test_xrcg_takes_the_export(shared: Any, tmp_path: Path) -> None:
    answer = shared.client.get(EXPORT)
    assert answer.status_code == 200, answer.text
    document = one_of_both(answer.json())
    assert validated(document, tmp_path / "export.json").startswith("OK:")
    # It does look: a version whose id is a number is none.
    schemas = document["schemagroups"]["com.letta"]["schemas"]
    schemas["agent.step.completed"]["versions"]["1"]["versionid"] = 1
    assert "agent.step.completed" in validated(document, tmp_path / "broken.json")
