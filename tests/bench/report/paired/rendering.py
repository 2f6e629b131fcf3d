"""The report as Markdown: pure functions over its data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_INTRODUCTION = """\
# Benchmarks

Made by `just bench`, in one run, on the machine named below. That machine is small, shared and noisy, and the
receiver, the enqueuing program, Redis and whatever is measured share its cores: *the ratios count*, not the
figures. A ratio is taken within a round, where both sides had the same machine, and then summed up. How much
processes that have nothing to do with the run took of the machine meanwhile stands under [Machine](#machine).
Each cell is the median of {rounds} round(s), with the least and the greatest behind it;
[benchmarks.json](benchmarks.json) has every value. What `erase`, `archive`, `rebuild` and `verify-log` take on a log of
a million events is on [a page of its own](operations-benchmarks.md).
"""
_METHOD = """\
## Method

- All rows run in turns, round by round (A B C, A B C, …), in one call of the recipe, to one receiver: a process
  on uvloop that looks for the end of the request, its `webhook-id` and the time in its body, answers 200 and counts
  each `webhook-id` once. Signatures of a sample of the requests are checked after each measurement.
- Everybody sends the same body of {body_bytes} bytes with the same Standard Webhooks headers (HMAC-SHA256), from
  one worker process with {at_once} requests at once. The gateway sends its CloudEvents headers and a
  second signature besides.
- *Deliveries per second*: from the first enqueue to the last receipt. The worker is started and warm before (BullMQ
  and the gateway by 4,000, for what they compile once: Node's code, a database's statements), an enqueuing process
  has its jobs ready in memory, and nothing is enqueued before the clock runs.
- The gateway is `letta-gateway dev`, with its hot path compiled by `just compiled` where Machine says so
  ([decision 28](decisions/0028-compiled.md)), and in a row of its own from its sources, as `pip install` has it.
  Events go into its Redis Stream in FastStream's frame, are appended to the log (SQLite, `synchronous=FULL`),
  delivered through the egress guard, and every attempt is journaled. Peers get a Valkey of their own, empty, with
  that server's default durability (snapshots).
- Peers are installed in environments of their own, in pinned versions (`tests/bench/peers`), and used as their
  documentation recommends; the table says what that is. Whatever is Python runs on the same interpreter, named under
  Machine: the one that `PYTHON=… just bench` names.
- *CPU µs*: user and system time of the worker process, all of its threads and child processes, from the first
  enqueue until it is idle again, by `/proc`, divided by the deliveries. Redis and the enqueuing process are not in it.
- Latency: from the moment an event is put into the stream, which it carries, to its receipt; at a steady rate
  of half of, and of the whole of, the deliveries per second measured just before in the same process.
"""
_LIMITS = """\
## Limits

- Loopback, no TLS, a receiver that answers at once: the figures are of the worker's own cost, not of a network's.
- On a machine with two cores the parts compete; with more cores each worker, one process, would come out higher, and
  the receiver would take less from it.
- Short runs: they show no effects of hours (but see the growth of the log, where it was measured).
- A queue's worker and the gateway do not do the same: peers keep jobs in memory until a snapshot, and forget them
  when they are done; the gateway keeps events and attempts durably, and can replay them.
"""


def markdown(report: Mapping[str, Any]) -> str:
    """The whole page."""
    parameters = report["parameters"]
    parts = [
        _INTRODUCTION.format(**parameters),
        _end_to_end(report),
        _goals(report),
        _gateway(report),
        _emit(report),
        _bounds(report),
        _left_out(report),
        _METHOD.format(**parameters),
        _machine(report),
        _LIMITS,
    ]
    return "\n".join(part for part in parts if part)


_OURS = ("gateway", "interpreted")


def _end_to_end(report: Mapping[str, Any]) -> str:
    rows = report["rows"]
    names = [name for name in rows if name in _OURS or rows[name]["peer"]]
    if not names:
        return ""
    names.sort(key=lambda name: -rows[name]["figures"]["deliveries_per_s"]["median"])
    body = [
        (
            rows[name]["title"],
            _spread(rows[name]["figures"], "deliveries_per_s", 0),
            _spread(report["gateway_divided_by"], name, 2, unit="x"),
            _spread(rows[name]["figures"], "cpu_us", 0),
            _spread(rows[name]["figures"], "redis_cpu_us", 0),
            rows[name]["how"] if rows[name]["peer"] else "",
        )
        for name in names
    ]
    heads = ("", "deliveries/s", "gateway ÷ this", "CPU µs each", "its Redis, µs", "used how")
    return _section("Enqueue to last receipt", _table(heads, body))


_PARTS = (
    ("gateway", "deliveries per second", "deliveries_per_s", 0),
    ("gateway", "CPU µs per delivery, its process", "cpu_us", 0),
    ("gateway", "CPU µs per delivery, its embedded Redis", "redis_cpu_us", 0),
    ("gateway", "CPU µs per delivery, the receiver", "receiver_cpu_us", 0),
    ("gateway", "latency at half load, p50 ms", "p50_half_ms", 1),
    ("gateway", "latency at half load, p99 ms", "p99_half_ms", 1),
    ("gateway", "latency at full load, p50 ms", "p50_full_ms", 1),
    ("gateway", "latency at full load, p99 ms", "p99_full_ms", 1),
    ("log", "ingest with nobody subscribed, events per second", "ingest_per_s", 0),
    ("log", "ingest, CPU µs per event", "ingest_cpu_us", 0),
    ("log", "catch-up from the beginning, deliveries per second", "catch_up_per_s", 0),
    ("log", "catch-up, CPU µs per delivery", "catch_up_cpu_us", 0),
    ("fan-out", "fan-out of each event to 100 subscriptions, deliveries per second", "deliveries_per_s", 0),
    ("fan-out", "fan-out, CPU µs per delivery", "cpu_us", 0),
    ("hostile", "a healthy sink alone at 200 a second, p50 ms", "p50_alone_ms", 1),
    ("hostile", "the same, p99 ms", "p99_alone_ms", 1),
    ("hostile", "beside four hostile sinks, p50 ms", "p50_beside_ms", 1),
    ("hostile", "the same, p99 ms", "p99_beside_ms", 1),
    ("hostile", "memory of the gateway alone, MiB", "memory_alone_mib", 0),
    ("hostile", "the most it had beside hostile sinks, MiB", "memory_most_mib", 0),
    ("hostile", "POSTs to the sink that hangs", "hang_requests", 0),
    ("hostile", "to the one that answers 500", "fail_requests", 0),
    ("hostile", "to the one that drips", "drip_requests", 0),
    ("hostile", "to the one that floods", "flood_requests", 0),
    ("growth", "with 10,000 events in the log, deliveries per second", "short_per_s", 0),
    ("growth", "with 1,000,000, deliveries per second", "long_per_s", 0),
    ("growth", "with 10,000, CPU µs per delivery", "short_cpu_us", 0),
    ("growth", "with 1,000,000, CPU µs per delivery", "long_cpu_us", 0),
    ("growth", "the latter divided by the former", "cpu_ratio", 2),
)


def _gateway(report: Mapping[str, Any]) -> str:
    rows = report["rows"]
    body = [
        (title, _spread(rows[row]["figures"], name, digits))
        for row, title, name, digits in _PARTS
        if row in rows and name in rows[row]["figures"]
    ]
    return _section("The gateway", _table(("", "median (least - greatest)"), body)) if body else ""


def _emit(report: Mapping[str, Any]) -> str:
    if "emit" not in report["rows"]:
        return ""
    figures = report["rows"]["emit"]["figures"]
    body = [
        (title, _spread(figures, name, 1), _spread(figures, f"control_{name}", 1))
        for title, name in (
            ("the call, p50 µs", "p50_us"),
            ("the call, p99 µs", "p99_us"),
            ("how late the loop came to it, p50 µs", "late_p50_us"),
            ("how late the loop came to it, p99 µs", "late_p99_us"),
        )
    ]
    told = f"{report['rows']['emit']['how']} The drain publishes to a real Valkey from the same process meanwhile.\n\n"
    heads = ("", "with the emitter", "the same loop, emitter off")
    return _section("The emitter's caller", told + _table(heads, body))


def _goals(report: Mapping[str, Any]) -> str:
    body = [(goal["what"], goal["asked"], _spread({"": goal["found"]}, "", 2)) for goal in report["goals"]]
    return _section("What is asked for", _table(("", "asked", "measured"), body)) if body else ""


def _bounds(report: Mapping[str, Any]) -> str:
    rows = report["rows"]
    body = [
        (rows[name]["title"], _spread(rows[name]["figures"], "requests_per_s", 0), rows[name]["how"])
        for name in ("wrk", "sender")
        if name in rows
    ]
    return _section("What bounds it", _table(("", "requests/s", "what it is"), body)) if body else ""


def _left_out(report: Mapping[str, Any]) -> str:
    lines = [f"- {row['title']}: {row['why']}" for row in report["left_out"].values()]
    return _section("Left out", "\n".join(lines) + "\n") if lines else ""


def _machine(report: Mapping[str, Any]) -> str:
    parameters = report["parameters"]
    made = f"{report['made_at']}, in {report['took_s']} s, {parameters['events']:,} events a measurement"
    body = [("made at", made), *report["machine"].items()]
    if others := report["others_share_of_machine"]:
        percent = {key: others[key] * 100 for key in ("median", "min", "max")} | {"values": others["values"]}
        body.append(("taken by other processes meanwhile, % of all cores", _spread({"": percent}, "", 0)))
    return _section("Machine", _table(("", ""), body))


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _spread(figures: Mapping[str, Any], name: str, digits: int, unit: str = "") -> str:
    """Median with range; a dash where it was not measured."""
    found = figures.get(name)
    if found is None:
        return "-"
    median, least, greatest = (f"{found[key]:,.{digits}f}" for key in ("median", "min", "max"))
    return f"{median}{unit}" if len(found["values"]) == 1 else f"{median}{unit} ({least} - {greatest})"
