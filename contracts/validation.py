"""An event's data against its contract: every problem at once, compiled once per contract.

Patterns run in time that is linear in the text, and in what `contracts.patterns` counts. One that this makes slow
sees no text that is too long for it: such a text is refused instead.

Needs `jsonschema-rs`, which comes with the extra `[gateway]`; an emitter never validates.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NoReturn, cast

from contracts.guarding import guarded
from contracts.patterns import without_counts
from contracts.store import Contracts, load
from schemas.errors import Problem, pointer_of

DETAIL_LENGTH_MAX = 300
PROBLEMS_MAX = 100
"""More than this many are cut off; nobody reads them and an answer must have a bound."""


class ValidatorMissingError(ImportError):
    """The validation library is not installed."""


class SchemaError(ValueError):
    """What is to be a contract is no JSON Schema that the validator takes.

    Attributes:
        problem: Where, and what is wrong there.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(f"{problem.pointer or 'the schema'}: {problem.detail}")


class Compiled:
    """One contract, ready to check data by.

    Raises:
        SchemaError: It is no JSON Schema, or has a pattern that is none or would take too long.
        ValidatorMissingError: jsonschema-rs is not installed.
    """

    __slots__ = ("_validator",)

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._validator = _compile(schema)

    def problems(self, data: object) -> list[Problem]:
        """Return everything in the data that breaks the contract; see `Validator.validate`."""
        try:
            if self._validator.is_valid(data):
                return []
            problems: list[Problem] = []
            for error in self._validator.iter_errors(data):
                problems.append(_problem(error))
                if len(problems) == PROBLEMS_MAX:
                    break
        except (ValueError, TypeError, OverflowError) as error:
            return [Problem("/data", f"cannot be checked against its contract: {error}")]
        return sorted(problems, key=lambda problem: problem.pointer)


class Validator:
    """Contracts, compiled on first use."""

    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts
        self._newest = {type_name: contracts.latest(type_name) for type_name in contracts.types()}
        self._compiled: dict[tuple[str, int], Compiled] = {}

    def validate(self, type_name: str, data: object, version: int | None = None) -> list[Problem]:
        """Check the data of an event.

        Args:
            type_name: The event's full type.
            data: The decoded data.
            version: The contract's version; the newest if None.

        Returns:
            Every problem, at most `PROBLEMS_MAX`, with pointers below `/data`; empty if the data keeps its
            contract, or if the type has none.

        Raises:
            ValidatorMissingError: jsonschema-rs is not installed.
        """
        wanted = self._newest.get(type_name) if version is None else version
        if wanted is None:
            return []
        compiled = self._compiled.get((type_name, wanted))
        if compiled is None:
            compiled = Compiled(self._contracts.schema(type_name, wanted))
            self._compiled[type_name, wanted] = compiled
        return compiled.problems(data)


def _compile(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401  (the library is imported here alone)
    try:
        import jsonschema_rs  # noqa: PLC0415  (part of an extra; reading contracts must work without it)
    except ImportError:
        raise ValidatorMissingError(
            "checking events against contracts needs jsonschema-rs: pip install 'letta-gateway[gateway]'"
        ) from None

    def made(of: Mapping[str, Any]) -> Any:  # noqa: ANN401  (likewise)
        return jsonschema_rs.Draft202012Validator(
            dict(of),
            validate_formats=True,
            pattern_options=jsonschema_rs.RegexOptions(),
            retriever=_fetch_nothing,
        )

    try:
        if bounded := guarded(schema):
            made(schema)  # what is wrong is told by the places of the schema as it was written
        return made(bounded or schema)
    except (ValueError, jsonschema_rs.ValidationError) as error:
        place = getattr(error, "instance_path", ())
        detail = _shortened(str(error).partition(chr(10))[0])
        if _is_too_large(getattr(error, "instance", None), made):
            detail = "is too large for the engine: needs smaller counts, or narrower classes than \\p{…}"
        raise SchemaError(Problem(pointer_of(*place), detail)) from None


def _is_too_large(refused: object, made: Callable[[Mapping[str, Any]], object]) -> bool:
    """Whether what was refused is a pattern that the engine takes without its counts."""
    if not isinstance(refused, str) or (smaller := without_counts(refused)) == refused:
        return False
    try:
        made({"pattern": smaller})
    except Exception:  # noqa: BLE001  (whatever it is, it is told as the engine told it of the whole)
        return False
    return True


def _fetch_nothing(uri: str) -> NoReturn:
    raise LookupError(f"{uri} is not part of the contract, and nothing is fetched")


def _problem(error: Any) -> Problem:  # noqa: ANN401  (likewise)
    path = cast("list[str | int]", list(error.instance_path))
    missing = getattr(error.kind, "property", None)
    if missing is not None:
        return Problem(pointer_of("data", *path, missing), "is missing; its contract requires it")
    return Problem(pointer_of("data", *path), _shortened(error.message))


def _shortened(message: str) -> str:
    # The library quotes the value; what is wrong with it stands at the end.
    return message if len(message) <= DETAIL_LENGTH_MAX else f"{message[:100]} … {message[-160:]}"


@cache
def validator() -> Validator:
    """Return the validator of this package's contracts."""
    return Validator(load())


def validate(type_name: str, data: object) -> list[Problem]:
    """Check the data of an event against the newest contract of its type; see `Validator.validate`."""
    return validator().validate(type_name, data)
