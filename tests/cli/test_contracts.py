"""`contracts add`, `list`, `show`: of a running gateway where there is one, else what comes with the package."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

SCHEMA = {
    "description": "A parcel is sent.",
    "type": "object",
    "properties": {"id": {"type": "string"}},
    "required": ["id"],
}


@pytest.fixture
def ask(command: Any, dev: Any) -> Callable[..., Any]:
    """A command to the gateway on the data directory."""
    return lambda *arguments: command(*arguments, "--data-dir", str(dev.data_dir))


def written(tmp_path: Path, schema: Any) -> str:
    path = tmp_path / "schema.json"
    path.write_text(schema if isinstance(schema, str) else json.dumps(schema))
    return str(path)


def records(result: Any) -> list[dict[str, Any]]:
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_contract_is_added_listed_and_shown(ask: Any, dev: Any, tmp_path: Path) -> None:
    def add(schema: Any, *options: str) -> Any:
        return ask("contracts", "add", written(tmp_path, schema), "--type", "com.cli.parcel.sent", *options)

    url = f"{dev.said['url']}/registry/schemagroups/com.cli/schemas/parcel.sent/versions/1"
    made = add(SCHEMA, "--compatibility", "full_transitive")
    assert (made.returncode, made.stdout) == (0, f"Registered {url}\n")
    assert add(SCHEMA).stdout == f"There already: {url}\n"
    refused = add(SCHEMA | {"required": []})
    assert refused.returncode == 1
    assert "/properties/id: was required and is no longer (version 1)" in refused.stderr
    second = add(SCHEMA | {"description": "A parcel was sent."})
    assert second.stdout.endswith("/versions/2\n")
    listed = [
        item for item in records(ask("contracts", "list", "--json")) if item["type"].startswith("com.cli")
    ]
    assert listed == [
        {
            "type": "com.cli.parcel.sent",
            "version": number,
            "title": "com.cli.parcel.sent",
            "description": text,
        }
        for number, text in ((1, "A parcel is sent."), (2, "A parcel was sent."))
    ]
    shown = json.loads(ask("contracts", "show", "com.cli.parcel.sent", "--version", "1").stdout)
    assert shown == {"$schema": shown["$schema"], "$id": url} | SCHEMA
    ours = json.loads(ask("contracts", "show", "agent.step.completed").stdout)
    assert ours["$id"].startswith(dev.said["url"])
    nothing = ask("contracts", "show", "com.cli.parcel.sent", "--version", "9")
    assert (nothing.returncode, "the versions 1, 2" in nothing.stderr) == (2, True)


def test_what_cannot_be_added(ask: Any, tmp_path: Path) -> None:
    def add(schema: Any, *options: str) -> Any:
        return ask("contracts", "add", written(tmp_path, schema), *options)

    assert (
        "is not valid JSON" in add("{", "--type", "a.b").stderr or add("{", "--type", "a.b").returncode == 2
    )
    wrong = add({"typ": 1}, "--type", "com.cli.wrong")
    assert (wrong.returncode, "/typ: is no keyword" in wrong.stderr) == (1, True)
    for type_ in ("parcel", "com.cli.a b", ""):
        placeless = add(SCHEMA, "--type", type_)
        assert (placeless.returncode, "no place in the registry" in placeless.stderr) == (2, True)
    own = add(SCHEMA, "--type", "com.cli.own.sent", "--group", "com.cli.own")
    assert own.stdout.endswith("/schemagroups/com.cli.own/schemas/sent/versions/1\n")
    missing = ask("contracts", "add", str(tmp_path / "nothing.json"), "--type", "a.b")
    assert (missing.returncode, "nothing.json" in missing.stderr) == (2, True)


def test_without_a_gateway_what_comes_with_the_package_is_listed(command: Any, tmp_path: Path) -> None:
    assert len(records(command("contracts", "list", "--json", cwd=tmp_path))) == 8
    there = tmp_path / ".gateway"
    there.mkdir()
    said = {"url": "http://127.0.0.1:1", "redis_url": None, "stream": "s", "pid": 1, "token_file": None}
    (there / "gateway.json").write_text(json.dumps(said))
    token = {"GATEWAY_API_TOKEN": "t"}
    gone = command("contracts", "list", "--json", cwd=tmp_path, env=token)
    assert len(records(gone)) == 8
    assert "No gateway runs here" in gone.stderr
    named = command("contracts", "list", env=token | {"GATEWAY_URL": "http://127.0.0.1:1"})
    assert (named.returncode, "does not answer" in named.stderr) == (1, True)


def test_contracts_are_read_without_a_token(command: Any, dev: Any) -> None:
    env = {"GATEWAY_URL": dev.said["url"]}
    ours = records(command("contracts", "list", "--json", env=env))
    assert len(ours) >= 8
    shown = command("contracts", "show", "agent.step.completed", env=env)
    assert json.loads(shown.stdout)["$id"].startswith(dev.said["url"])


def test_types_of_ones_own_contract_are_the_gateway_s(
    ask: Any, command: Any, dev: Any, tmp_path: Path
) -> None:
    type_ = "com.cli.typed.sent"
    assert ask("contracts", "add", written(tmp_path, SCHEMA), "--type", type_).returncode == 0
    env = {"GATEWAY_URL": dev.said["url"]}
    made = command("contracts", "typescript", type_, env=env)
    assert (made.returncode, "export type ComCliTypedSentEvent = {" in made.stdout) == (0, True), made.stderr
    assert "LettaEvent" not in made.stdout
    assert "class ComCliTypedSent" in command("contracts", "pydantic", type_, env=env).stdout
    for where in (env, {}):
        unknown = command("contracts", "typescript", "com.cli.nothing", cwd=tmp_path, env=where)
        assert unknown.returncode == 2
        assert "Neither this package nor a gateway" in unknown.stderr


def test_a_module_is_of_all_that_the_gateway_has(ask: Any, command: Any, dev: Any, tmp_path: Path) -> None:
    type_ = "com.cli.module.sent"
    assert ask("contracts", "add", written(tmp_path, SCHEMA), "--type", type_).returncode == 0
    number = written(tmp_path, {"type": "integer"})
    assert ask("contracts", "add", number, "--type", "com.cli.module.counted").returncode == 0
    env = {"GATEWAY_URL": dev.said["url"]}
    for made in (ask("contracts", "typescript"), command("contracts", "typescript", env=env)):
        assert made.returncode == 0, made.stderr
        assert f'CloudEvent<"{type_}", ComCliModuleSentEvent>' in made.stdout
        assert "export type ComCliModuleCountedEvent = number;" in made.stdout
        assert "export interface AgentRunCompleted {" in made.stdout
    models = ask("contracts", "pydantic").stdout
    assert "class ComCliModuleSentEvent(BaseModel)" in models
    assert "ComCliModuleCountedEvent: TypeAlias = Any" in models
    assert "class AgentRunCompleted(BaseModel)" in models
    compile(models, "events.py", "exec")
    alone = command("contracts", "typescript", cwd=tmp_path)
    assert (alone.returncode, type_ in alone.stdout) == (0, False)
    assert "export interface AgentRunCompleted {" in alone.stdout


def test_a_type_of_ones_own_is_not_listed_as_one_of_letta_s(ask: Any, dev: Any, tmp_path: Path) -> None:
    added = ask(
        "contracts", "add", written(tmp_path, SCHEMA), "--type", "agent.message.sent", "--group", "agent"
    )
    # A short name means Letta's type, so the way over HTTP is the only one to a type that is called like it.
    assert added.returncode != 0
    made = httpx.post(
        f"{dev.said['url']}/registry/schemagroups/agent/schemas/message.sent",
        json=SCHEMA,
        headers={"Authorization": f"Bearer {dev.said['token']}"},
    )
    assert made.status_code == 201, made.text
    listed = [
        line.split()[0] for line in ask("contracts", "list").stdout.splitlines() if "message.sent" in line
    ]
    assert sorted(listed) == ["agent.message.sent", "com.letta.agent.message.sent"]
