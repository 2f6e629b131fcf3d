"""URIs and URI-references by the grammar of RFC 3986, appendix A."""

import re
from typing import Final

_PCHAR = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
_SEGMENT_NO_COLON = r"(?:[A-Za-z0-9._~!$&'()*+,;=@-]|%[0-9A-Fa-f]{2})+"
_AUTHORITY = (
    r"(?:(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@)?"
    r"(?:\[[0-9A-Fa-fv:.A-Za-z~_!$&'()*+,;=-]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)"
    r"(?::[0-9]*)?"
)
_HIERARCHY = rf"//{_AUTHORITY}(?:/{_PCHAR}*)*|/(?:{_PCHAR}+(?:/{_PCHAR}*)*)?"
_QUERY = rf"(?:\?(?:{_PCHAR}|[/?])*)?"
_FRAGMENT = rf"(?:#(?:{_PCHAR}|[/?])*)?"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*:"
_ROOTLESS = rf"{_PCHAR}+(?:/{_PCHAR}*)*"
_RELATIVE = rf"{_SEGMENT_NO_COLON}(?:/{_PCHAR}*)*"

_ABSOLUTE: Final = re.compile(rf"{_SCHEME}(?:{_HIERARCHY}|{_ROOTLESS}|){_QUERY}")
_REFERENCE: Final = re.compile(
    rf"(?:{_SCHEME}(?:{_HIERARCHY}|{_ROOTLESS}|)|{_HIERARCHY}|{_RELATIVE}|){_QUERY}{_FRAGMENT}"
)


def is_reference(text: str) -> bool:
    """Tell whether the text is a URI-reference: a URI, or one relative to an unknown base (section 4.1)."""
    return _REFERENCE.fullmatch(text) is not None


def is_absolute(text: str) -> bool:
    """Tell whether the text is an absolute-URI: a scheme and no fragment (section 4.3)."""
    return _ABSOLUTE.fullmatch(text) is not None
