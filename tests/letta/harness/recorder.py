"""Run `letta` with the hooks attached and write down what they see; with the Python of Letta's environment.

python recorder.py CALLS_FILE server --host 127.0.0.1 --port 8283
"""

import runpy
import shutil
import sys
from pathlib import Path

from pydantic import TypeAdapter

from letta_emitter.hooks import install, sending
from letta_emitter.mapping import Call

target = Path(sys.argv[1])
adapter: TypeAdapter[Call] = TypeAdapter(Call)


def write(call: Call) -> None:
    with target.open("ab") as calls:
        calls.write(adapter.dump_json(call) + b"\n")


sending.observers.append(write)
install()
program = shutil.which("letta")
assert program is not None, "letta is not on the PATH"
sys.argv = [program, *sys.argv[2:]]
runpy.run_path(program, run_name="__main__")
