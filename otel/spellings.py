"""How a secret may look in what somebody answers: as it is, or as JSON, URLs and HTML have it (S11g), pure."""

from html import escape
from urllib.parse import quote, quote_plus


def spellings(secret: str) -> tuple[str, ...]:
    """The secret and its other spellings, the longest first; those that are the same are there once."""
    slashed = secret.replace("/", "\\/")
    unicoded = "".join(char if char.isalnum() else f"\\u{ord(char):04x}" for char in secret)
    entities = "".join(char if char.isalnum() else f"&#x{ord(char):X};" for char in secret)
    found = {
        *(secret, slashed, unicoded, entities, escape(secret)),
        *(quote(secret, safe=""), quote_plus(secret), quote(secret)),
    }
    return tuple(sorted(found, key=lambda text: (-len(text), text)))
