"""`python -m gateway` and the console script `letta-gateway`."""

import sys

from letta_emitter.entry import loading, prepare_streams

_OWN = ("gateway", "schemas", "contracts", "otel", "letta_emitter")


def main() -> None:
    """Run the command line, or say what to install where only the emitter's part of the package is."""
    prepare_streams()
    try:
        with loading("letta-gateway"):
            from gateway.cli.main import run  # noqa: PLC0415 - what it imports may not be installed
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not missing or missing in _OWN:
            raise
        sys.stderr.write(
            f"letta-gateway: the module {missing!r} is not installed. "
            "The commands need the gateway part of the package: pip install 'letta-gateway[gateway]'\n"
        )
        sys.exit(1)
    sys.exit(run())


if __name__ == "__main__":
    main()
