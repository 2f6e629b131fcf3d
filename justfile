# Every recipe makes what it needs: `.venv` with the pinned versions, and for the Letta suite `.venv-letta`.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Where this is set, hatch compiles beside the sources: only what asks for it does (docs/decisions/0028-compiled.md).
export HATCH_BUILD_HOOK_ENABLE_MYPYC := ""

python := env("PYTHON", "python3")
bin := justfile_directory() / ".venv/bin"

# list the recipes
default:
    @just --list --unsorted

# run the main job once: a recorded agent's events, through the real emitter and gateway, to a receiver that verifies them
demo: _venv
    {{ bin }}/letta-gateway demo --once

# run the gateway in the foreground, with nothing to set up
dev *arguments: _venv
    {{ bin }}/letta-gateway dev {{ arguments }}

# run the tests (all but the real Letta server, and other projects' receivers)
test *arguments: _venv
    {{ bin }}/python -m pytest -m "not letta and not interop" {{ arguments }}

# what the standards ask, row by row, and what the tests say of it (docs/conformance.md)
conformance: _venv
    {{ bin }}/python tests/conformance/report.py

# run the suite against a real Letta 0.16.8 server
test-letta *arguments: _venv _venv-letta
    {{ bin }}/python -m pytest -m letta tests/letta {{ arguments }}

# run real, unmodified receivers and senders of other projects against a gateway (Node.js 20 and npm are needed)
test-interop *arguments: _venv
    {{ bin }}/python tests/interop/peering/environments.py
    {{ bin }}/python -m pytest -m interop tests/interop {{ arguments }}

# kill the gateway with -9 at random points of all it does, and audit: `just chaos rounds=100 seed=7`
chaos rounds="100" seed="1": _venv
    CHAOS_ROUNDS={{ trim_start_match(rounds, "rounds=") }} CHAOS_SEED={{ trim_start_match(seed, "seed=") }} \
      {{ bin }}/python -m pytest -o faulthandler_timeout=0 -m chaos tests/chaos -s

# look for a 500 or a crash in the API and the parsers, from another seed each round: `just fuzz minutes=10 seed=1`
fuzz minutes="10" seed="1": _venv
    {{ bin }}/python tests/fuzz/run.py {{ trim_start_match(minutes, "minutes=") }} {{ trim_start_match(seed, "seed=") }}

# replay 50,000 events, and let as many wait for a paused subscription
large replayed="50000" paused="50000": _venv
    FLOWS_REPLAYED={{ replayed }} FLOWS_PAUSED={{ paused }} {{ bin }}/python -m pytest -o faulthandler_timeout=0 tests/flows/test_replays.py tests/flows/test_paused.py

# measure: the whole report, beside what others deliver (docs/benchmarks.md); or `just bench emit`, `sender`, `leaves`, `hostile`, `fanout`, `paused`, `shapes`, `meters`, `tracing`, `letta`, `operations`
bench what="all" *arguments: _venv
    {{ bin }}/python tests/bench/{{ what }}.py {{ arguments }}

# check format and lint
lint: _venv
    {{ bin }}/ruff format --check .
    {{ bin }}/ruff check .

# check types
types: _venv
    {{ bin }}/mypy

# check alert rules, dashboard and collector configuration, with Debian's promtool (fetched, not installed)
alerts: _venv
    {{ bin }}/python -m pytest -q tests/otel/test_observing.py tests/otel/test_collector.py tests/flows/test_metrics.py

# check which room imports which
imports: _venv
    {{ bin }}/lint-imports

# check contracts and generated pages against the code
check-docs: _venv
    {{ bin }}/letta-gateway contracts check
    {{ bin }}/python -m pytest -q tests/docs/test_pages.py tests/cli/test_docs.py tests/cli/test_problems_page.py \
      tests/interop/test_page.py tests/api/test_document.py tests/api/test_asyncapi.py tests/conformance/test_report.py

# write contracts and generated pages anew
generate: _venv
    {{ bin }}/letta-gateway contracts export
    {{ bin }}/python -m gateway.cli.docs docs
    {{ bin }}/python -m gateway.cli.problems_page docs
    {{ bin }}/python -m gateway.cli.documents contracts
    {{ bin }}/python -m contracts.docs docs
    {{ bin }}/python tests/interop/peering/page.py docs
    {{ bin }}/python -m gateway.domain.state_machine > docs/state-machine.md

# write the types for consumers (TypeScript, Pydantic) anew from the contracts
generate-types: _venv
    {{ bin }}/python tests/types/generate.py

# build the wheel, install it alone, and run the demo from it
wheel: _venv
    {{ bin }}/python tests/packaging/check_wheel.py

# compile what each event and each delivery goes through (a C compiler is needed): a wheel in dist, and a tree in .compiled
compiled: _venv
    {{ bin }}/python tests/packaging/compiled.py

# run from that the demo, and the tests of what is compiled, or others: `just test-compiled tests/flows`
test-compiled *tests="tests/domain tests/schemas tests/ingest tests/engine tests/sender tests/stores/test_log_store.py tests/stores/test_journal_store.py tests/stores/test_delivery_store.py -k 'not postgres'": compiled
    cd .compiled && PYTHONPATH="$PWD" {{ bin }}/python -m gateway demo --once
    cd .compiled && PYTHONPATH="$PWD" TESTED_COMPILED=1 {{ bin }}/python -m pytest -m "not letta and not interop" {{ tests }}

# record the demo's run anew from a real Letta server
record: _venv _venv-letta
    {{ bin }}/python tests/letta/record.py

# write constraints.txt anew from the newest versions that fit together
constraints:
    {{ python }} tests/packaging/constraints.py

# format the code
format: _venv
    {{ bin }}/ruff format .
    {{ bin }}/ruff check --fix .

_venv:
    @{{ python }} tests/packaging/make_environment.py .venv

_venv-letta:
    @{{ bin }}/python tests/letta/environment.py
