"""What this registry is like and can do, as documents (xRegistry 1.0-rc4: model, capabilities)."""

from typing import Any, Final

from gateway.registry.errors import FORMAT

SPECVERSION: Final = "1.0-rc4"

_Document = dict[str, Any]
_MODES: Final = ("forward_transitive", "full_transitive")

CAPABILITIES: Final[_Document] = {
    "available": {
        "capabilities": {"mutable": False},
        "entities": {"mutable": True},
        "export": {"mutable": False},
        "model": {"mutable": False},
        "modelsource": {"mutable": False},
    },
    "compatibilities": {FORMAT: list(_MODES)},
    "flags": ["doc", "inline"],
    "formats": [FORMAT],
    "ignores": [],
    "pagination": False,
    "shortself": False,
    "specversions": [SPECVERSION],
    "versionmodes": ["manual"],
}


def _attribute(name: str, type_: str, marks: str = "", **more: Any) -> _Document:  # noqa: ANN401 - JSON values
    """An attribute's definition; ``marks`` of ``r`` required, ``o`` read-only, ``i`` immutable."""
    said = {"readonly": "o" in marks, "immutable": "i" in marks, "required": "r" in marks}
    return {"name": name, "type": type_, **{mark: True for mark, there in said.items() if there}, **more}


def _named(*attributes: _Document) -> _Document:
    return {attribute["name"]: attribute for attribute in attributes}


_ANYTHING: Final = {"*": {"name": "*", "type": "any"}}
_MAP: Final = {"type": "object", "attributes": _ANYTHING}


def _identity(name: str) -> list[_Document]:
    return [
        _attribute(f"{name}id", "string", "ri", matchcase=True),
        _attribute("self", "url", "roi"),
        _attribute("xid", "xid", "roi"),
        _attribute("epoch", "uinteger", "ro"),
    ]


_DESCRIBED: Final = [_attribute("name", "string", "o"), _attribute("description", "string", "o")]
_TIMES: Final = [
    _attribute("createdat", "timestamp", "ro"),
    _attribute("modifiedat", "timestamp", "ro"),
]


def _collection(name: str) -> list[_Document]:
    return [
        _attribute(f"{name}url", "url", "roi"),
        _attribute(f"{name}count", "uinteger", "ro"),
        _attribute(name, "map", item=_MAP),
    ]


def _documents(*names: str) -> list[_Document]:
    return [_attribute(name, "object", "o", attributes=_ANYTHING) for name in names]


_OWN: Final = [
    _attribute("format", "string", "r", enum=[FORMAT]),
    _attribute("eventtype", "string", "ro", description="The type of the events that it is for."),
]
"""What a version has here beside what the core has."""

_VERSION: Final = _named(
    _attribute("schemaid", "string", "ri", matchcase=True),
    _attribute("versionid", "string", "ri", matchcase=True),
    *_identity("schema")[1:],
    *_DESCRIBED,
    _attribute("isdefault", "boolean", "ro", default=False),
    *_TIMES,
    _attribute("ancestorid", "string", "ro", matchcase=True),
    _attribute("contenttype", "string", "o"),
    _OWN[0],
    _attribute("formatvalidated", "boolean", "o"),
    _attribute("compatibilityvalidated", "boolean", "o"),
    _OWN[1],
    _attribute("schema", "any"),
)
_SCHEMA: Final = _named(
    *(_identity("schema")[:3]),
    _attribute("metaurl", "url", "roi"),
    _attribute("meta", "object", attributes=_ANYTHING),
    *_collection("versions"),
)
_META: Final = _named(
    *_identity("schema"),
    *_TIMES,
    _attribute("readonly", "boolean", "ro", default=False),
    _attribute(
        "compatibility",
        "string",
        "ri",
        enum=["none", *_MODES],
        default="forward_transitive",
    ),
    _attribute("defaultversionid", "string", "ro"),
    _attribute("defaultversionurl", "url", "ro"),
    _attribute("defaultversionsticky", "boolean", "ro", default=False),
)
_RESOURCE: Final = {
    "plural": "schemas",
    "singular": "schema",
    "maxversions": 0,
    "setversionid": False,
    "setdefaultversionsticky": False,
    "hasdocument": True,
    "versionmode": "manual",
    "singleversionroot": True,
    "validateformat": True,
    "validatecompatibility": True,
    "strictvalidation": True,
}

MODEL: Final[_Document] = {
    "attributes": _named(
        _attribute("specversion", "string", "ro"),
        *_identity("registry"),
        *_DESCRIBED,
        *_TIMES,
        *_documents("capabilities", "model", "modelsource"),
        *_collection("schemagroups"),
    ),
    "groups": {
        "schemagroups": {
            "plural": "schemagroups",
            "singular": "schemagroup",
            "attributes": _named(*_identity("schemagroup"), *_TIMES, *_collection("schemas")),
            "resources": {
                "schemas": {
                    **_RESOURCE,
                    "attributes": _VERSION,
                    "resourceattributes": _SCHEMA,
                    "metaattributes": _META,
                }
            },
        }
    },
}
"""The full model: of the schema registry, what is kept here."""

MODEL_SOURCE: Final[_Document] = {
    "groups": {
        "schemagroups": {
            "plural": "schemagroups",
            "singular": "schemagroup",
            "resources": {
                "schemas": {
                    **_RESOURCE,
                    "attributes": _named(*_OWN),
                    "metaattributes": _named(_META["compatibility"]),
                }
            },
        }
    }
}
"""What it says beyond the core."""
