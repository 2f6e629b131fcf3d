"""The pages made from the code are those committed, and cover every command, option and setting."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import docs
from gateway.settings import Settings
from letta_emitter import EmitterSettings
from letta_emitter.routes.settings import access
from letta_emitter.settings import is_enabled

FOLDER = Path(__file__).parents[2] / "docs"
HELP_OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]+)")


@pytest.mark.parametrize(
    ("name", "page"), [("settings.md", docs.settings_page), ("commands.md", docs.commands_page)]
)
def test_the_committed_page_is_the_one_the_code_makes(name: str, page: Any) -> None:
    assert (FOLDER / name).read_text() == page(), "run: python -m gateway.cli.docs docs"


def test_the_page_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    docs.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["commands.md", "settings.md"]


def sections() -> dict[str, str]:
    parts = re.split(r"^## `(.+)`$", (FOLDER / "commands.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_that_the_help_shows_has_a_section(command: Any) -> None:
    # Asked of the help itself, not of the walk that made the page.
    def leaves(*path: str) -> Iterator[str]:
        shown = command(*path, "--help", env={"COLUMNS": "200"}).stdout
        _, separator, below = shown.partition("─ Commands ─")
        if not separator:
            yield " ".join(("letta-gateway", *path))
            return
        for name in re.findall(r"^│ ([a-z][a-z-]*)", below, re.MULTILINE):
            yield from leaves(*path, name)

    found = set(leaves())
    assert len(found) > 15
    assert found == set(sections())


@pytest.mark.parametrize("name", sorted(sections()))
def test_every_option_that_the_help_shows_is_on_the_page(command: Any, name: str) -> None:
    shown = command(*name.split()[1:], "--help", env={"COLUMNS": "400"}).stdout
    offered = set(re.findall(r"^│ [ *]*(--[a-z][a-z-]*)", shown, re.MULTILINE)) - {"--help"}
    documented = set(re.findall(r"^\| `(--[a-z][a-z-]*)", sections()[name], re.MULTILINE))
    assert offered == documented


def test_every_setting_is_on_the_page() -> None:
    page = docs.settings_page()
    for name in Settings.model_fields:
        assert f"| `GATEWAY_{name.upper()}` |" in page


class Recorder(Mapping[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values_ = values
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.values_[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def test_every_setting_that_the_emitter_reads_is_on_the_page() -> None:
    environ = Recorder(
        {"LETTA_EMITTER_REDIS_URL": "redis://127.0.0.1/0", "HOME": os.environ.get("HOME", "/")}
    )
    is_enabled(environ)
    EmitterSettings.from_env(environ)
    access(environ)
    asked = {name for name in environ.asked if name.startswith("LETTA_EMITTER_")}
    assert asked == {name for name, _, _ in docs.EMITTER_SETTINGS}
