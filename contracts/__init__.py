"""What each event promises: one JSON Schema (2020-12) per type and version, exported from the models.

A file never changes once it is released; a change is a new version, a break is a new type.
"""

from contracts.export import UnknownKeywordError
from contracts.store import Contracts, ContractsError, check, export, load, load_from, schema_url, seal
from contracts.validation import Compiled, SchemaError, Validator, ValidatorMissingError, validate

__all__ = [
    "Compiled",
    "Contracts",
    "ContractsError",
    "SchemaError",
    "UnknownKeywordError",
    "Validator",
    "ValidatorMissingError",
    "check",
    "export",
    "load",
    "load_from",
    "schema_url",
    "seal",
    "validate",
]
