"""A group of commands that may be left unnamed where it is plain which one is meant."""

from typing import Any

from typer.core import TyperGroup

_DELIVERY = "dlv_"


class ListsByDefault(TyperGroup):
    """`deliveries dlv_…` shows that one, `deliveries --event 7` lists: the usual questions in few words."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - Typer's own, which it keeps private
        """Put the command in that is meant."""
        first = args[0] if args else "-"
        if first.startswith(_DELIVERY):
            args = ["show", *args]
        elif first.startswith("-") and first not in ctx.help_option_names:
            args = ["list", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:  # noqa: ANN401 - likewise
        """What the group knows, and the options of the command that may be left unnamed."""
        return [*super().shell_complete(ctx, incomplete), *_options_of(self, "list", ctx, incomplete)]


class MakesByDefault(TyperGroup):
    """`archive --before 2026-01-01T00:00:00Z` makes archives; `archive list`, `archive restore 7` name what they do."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - likewise
        """Put the command in that is meant."""
        first = args[0] if args else ""
        if first.startswith("-") and first not in ctx.help_option_names:
            args = ["make", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:  # noqa: ANN401 - likewise
        """What the group knows, and the options of the command that may be left unnamed."""
        return [*super().shell_complete(ctx, incomplete), *_options_of(self, "make", ctx, incomplete)]


def _options_of(group: TyperGroup, name: str, ctx: Any, incomplete: str) -> list[Any]:  # noqa: ANN401 - likewise
    command = group.get_command(ctx, name)
    if command is None or not incomplete.startswith("-"):
        return []
    found = command.shell_complete(ctx, incomplete)
    return [one for one in found if one.value not in ctx.help_option_names]  # the group has that itself
