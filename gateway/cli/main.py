"""The command line: which commands there are, and how the process ends."""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from gateway.cli import (
    archiving,
    contracts,
    deliveries,
    demo,
    emit,
    erasing,
    events,
    explaining,
    listen,
    operations,
    quarantine,
    serving,
    statistics,
    stream_commands,
    subscriptions,
    tokens,
    tracing,
    vault_keys,
)
from gateway.cli.failures import FAILED, WRONG_USAGE, explain
from gateway.cli.output import say
from letta_emitter.entry import let_go_of_output

_INTERRUPTED = 130

app = typer.Typer(
    name="letta-gateway",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="An event gateway for AI agents: what a Letta server's agents do, as signed webhooks.",
)


def _print_version(value: bool) -> None:  # noqa: FBT001 - the signature of an option's callback
    if value:
        sys.stdout.write(version("letta-gateway") + "\n")
        raise typer.Exit


@app.callback()
def _main(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command()(serving.dev)
app.command()(serving.serve)
app.command()(listen.listen)
app.command()(demo.demo)
app.command()(emit.emit)
app.command()(operations.migrate)
app.command("verify-log")(operations.verify_log)
app.command()(operations.rebuild)
subscriptions.app.command()(statistics.stats)
app.add_typer(subscriptions.app, name="subscriptions")
app.command()(events.events)
app.command()(events.tail)
app.add_typer(deliveries.app, name="deliveries")
app.command()(deliveries.attempts)
deliveries.app.command("retry")(stream_commands.retry)
app.command()(explaining.explain)
app.command()(tracing.trace)
app.add_typer(quarantine.app, name="quarantine")
app.command()(erasing.erase)
app.add_typer(archiving.app, name="archive")
app.add_typer(tokens.app, name="tokens")
app.add_typer(contracts.app, name="contracts")
app.add_typer(vault_keys.app, name="secrets")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 for a failed check or operation, 2 for wrong usage."""
    try:
        return _ended(arguments)
    except BaseException as error:
        failure = explain(error)
        if failure is None:
            raise
        let_go_of_output()
        if failure.sentence:
            say(f"letta-gateway: {failure.sentence}")
        return failure.exit_code


def _ended(arguments: Sequence[str] | None) -> int:
    try:
        app(args=arguments, prog_name="letta-gateway")
    except SystemExit as done:
        # Typer's own code for Ctrl-C is 130; a command ends with 0, 1 or 2 and nothing else.
        if done.code == _INTERRUPTED:
            say("letta-gateway: Interrupted.")
        # What does not reach its reader is a failure that the interpreter's own flush could not tell.
        sys.stdout.flush()
        return WRONG_USAGE if done.code == WRONG_USAGE else FAILED if done.code else 0
    return 0
