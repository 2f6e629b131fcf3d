"""What a receiver understood beside what was published: the differences, attribute by attribute."""

from datetime import datetime
from typing import Any

OF_THE_POST = "that of the POST"
LESS_PRECISE = "to the millisecond"


def differences(event: dict[str, Any], told: dict[str, Any], *, dataschema: str) -> dict[str, Any]:
    """By name, what a receiver has instead; `data` for the data, None for what is missing.

    Values are compared as CloudEvents writes them in text, times as moments.
    """
    expected = {name: value for name, value in event.items() if name not in {"data", "data_base64"}}
    if event["type"].startswith("com.letta."):
        expected["dataschema"] = dataschema
    found = told["attributes"]
    wrong: dict[str, Any] = {}
    for name in sorted(expected.keys() | found.keys()):
        wanted, has = expected.get(name), found.get(name)
        if not _same(name, wanted, has):
            wrong[name] = _described(name, wanted, has)
    if _data(event) != told["data"]:
        wrong["data"] = told["data"]
    return wrong


def _data(event: dict[str, Any]) -> dict[str, Any]:
    if "data_base64" in event:
        return {"base64": event["data_base64"]}
    return {"json": event["data"]} if "data" in event else {}


def _same(name: str, wanted: object, has: object) -> bool:
    if name == "time" and wanted is not None and has is not None:
        return _moment(wanted) == _moment(has)
    return _text(wanted) == _text(has)


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


def _moment(value: object) -> datetime:
    return datetime.fromisoformat(str(value))


def _described(name: str, wanted: object, has: Any) -> Any:
    """What it has instead; what changes from run to run is named."""
    if name == "time" and wanted is not None and has is not None:
        at = _moment(wanted)
        if _moment(has) == at.replace(microsecond=at.microsecond // 1000 * 1000):
            return LESS_PRECISE
    # The event's own trace goes on in the header of each POST; an event without one gets a trace of its own there.
    if name == "traceparent" and isinstance(has, str):
        trace = has.split("-")[1]
        if wanted is None or trace == str(wanted).split("-")[1]:
            return OF_THE_POST
    return has
