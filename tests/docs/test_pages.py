"""README and docs: links lead somewhere, Python runs, and every command and option that is shown exists."""

import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
COMMAND = re.compile(r"(?:^|`)(?:[A-Z_]+=\S+ )*(letta-(?:gateway|emitter) [a-z][^\n`|]*)", re.MULTILINE)


def blocks(language: str):
    for page in PAGES:
        for number, (kind, text) in enumerate(BLOCK.findall(page.read_text())):
            if kind == language:
                yield pytest.param(text, id=f"{page.relative_to(ROOT)}:{number}")


def shown_commands():
    for page in PAGES:
        if page.name == "commands.md":
            continue  # made from the code
        text = page.read_text().replace("\\\n", " ")
        for match in sorted(set(COMMAND.findall(text))):
            yield pytest.param(match, id=f"{page.relative_to(ROOT)}: {match[:60]}")


# Behind each block: whatever handlers it defines are called with a webhook that is really signed.
CALLS = """
import json as _json, time as _time
from gateway.domain.signing import Signer as _Signer, new_secret as _new_secret

_secret = _new_secret(bytes(range(32)))
_body = _json.dumps({"event_id": "evt_1", "event_type": "agent.run.completed", "timestamp": "2026-01-01T12:00:00Z",
    "agent_id": "agent-1", "organization_id": "org-1", "data": {"run_id": "run-1", "status": "completed"}}).encode()
_headers = dict(_Signer([_secret]).sign("dlv_a", int(_time.time()), _body))
if "handle" in globals():
    assert handle(_secret, _body, _headers)[0] == "dlv_a"
    print("called")
if "on_post" in globals():
    assert [on_post(_secret, _headers, _body) for _ in range(2)] == [200, 200]
    assert on_post_without_time(_secret, _headers, _body) is None
    print("called")
if "step_done" in globals():
    from letta_emitter import WebhookManager as _Manager
    step_done(_Manager(), "agent-1", "org-1", "step-1")
    print("called")
"""


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target, fragment in LINK.findall(BLOCK.sub("", page.read_text())):
        if "://" in target:
            continue
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), f"{target} is not there"
        if fragment:
            headings = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)
            assert fragment in {anchor(heading) for heading in headings}, f"{target} has no #{fragment}"


@pytest.mark.parametrize("text", [it for it in blocks("python") if "compare.py" not in it.values[0]])
def test_python_runs(text, tmp_path):
    script = tmp_path / "block.py"
    script.write_text(text + CALLS)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "called" in done.stdout, "nothing of this block was called"


@pytest.mark.parametrize("text", list(blocks("js")))
def test_javascript_verifies_what_the_gateway_signs(text, tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    from gateway.domain.signing import Signer, new_secret  # noqa: PLC0415 - only where node is

    secret = new_secret(bytes(range(32)))
    signed = dict(Signer([secret]).sign("dlv_a", 1_700_000_000, b'{"a": 1}'))
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    headers = ", ".join(f'"{name}": "{signed[name]}"' for name in names)
    script = tmp_path / "block.js"
    script.write_text(
        f"{text}\nDate.now = () => 1700000000000;\nconst headers = {{{headers}}};\n"
        f'const good = verify("{secret}", headers, Buffer.from(\'{{"a": 1}}\'));\n'
        f'const bad = verify("{secret}", headers, Buffer.from(\'{{"a": 2}}\'));\n'
        'const none = ["", "whsec_", "whsec_!!!", "   ", "whpk_", undefined].filter((key) => {\n'
        "  for (const call of [() => verify([key], headers, Buffer.from('')), () => verifyLetta(key, '', '')])\n"
        "    try { call(); return false; } catch {}\n"
        "  return true;\n"
        "});\n"
        "process.exit(good && !bad && none.length === 6 ? 0 : 1);\n"
    )
    done = subprocess.run([node, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@cache
def help_of(program: str, *words: str) -> str | None:
    module = {"letta-gateway": "gateway", "letta-emitter": "letta_emitter"}[program]
    done = subprocess.run(
        [sys.executable, "-m", module, *words, "--help"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "400", "TERM": "dumb"},
    )
    return done.stdout if done.returncode == 0 else None


@pytest.mark.parametrize("command", list(shown_commands()))
def test_shown_commands_exist(command):
    words = [word for word in shlex.split(command.rstrip(".,;:)…").strip(), comments=True) if word != "…"]
    program, *rest = words
    own = rest[: rest.index("--")] if "--" in rest else rest
    names = [word for word in own if re.fullmatch(r"[a-z][a-z-]*", word)]
    known = help_of(program, names[0])
    assert known is not None, f"{program} has no command {names[0]}"
    if len(names) > 1 and f" {names[1]} " in known and names[1] != "letta":
        deeper = help_of(program, *names[:2])
        known = deeper or known
    for option in (word.partition("=")[0] for word in own if word.startswith("--")):
        assert option == "--help" or option in known, f"{program} {' '.join(names)} has no {option}"


def test_operations_say_what_every_verdict_means():
    from gateway.views.verdicts import Verdict  # noqa: PLC0415 - the pages need no gateway otherwise

    text = (ROOT / "docs/operations.md").read_text()
    assert [verdict.value for verdict in Verdict if f"`{verdict.value}`" not in text] == []
