"""Where the gateway is, and the token for it, from `LETTA_EMITTER_GATEWAY_*`.

Apart from `EmitterSettings`, so that a mistake here costs the routes and never an event. Standard library only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from letta_emitter.errors import SettingsError
from letta_emitter.settings import PREFIX

URL = PREFIX + "GATEWAY_URL"
TOKEN = PREFIX + "GATEWAY_TOKEN"
_PRINTABLE = re.compile(r"[!-~]{1,4096}")


@dataclass(frozen=True, slots=True)
class GatewayAccess:
    """How the gateway is spoken to: its address, without a slash at the end, and a token of its API."""

    url: str
    token: str = field(repr=False)


def access(environ: Mapping[str, str] | None = None) -> GatewayAccess | None:
    """Read both settings; None where neither is given: the routes are not wanted.

    Raises:
        SettingsError: one is missing or wrong. The text names it and shows no value, which may hold a secret.
    """
    env = os.environ if environ is None else environ
    url, token = env.get(URL, "").strip(), env.get(TOKEN, "").strip()
    if not url and not token:
        return None
    if not url:
        raise SettingsError(f"{TOKEN} is set, but {URL} is not; give both, or neither")
    if not token:
        raise SettingsError(f"{URL} is set, but {TOKEN} is not; give both, or neither")
    if not _PRINTABLE.fullmatch(
        token
    ):  # elsewhere it would be an error of HTTP's, with the token in its text
        raise SettingsError(f"{TOKEN} must be printable ASCII without spaces, as the gateway showed it")
    if not _is_address(url):
        raise SettingsError(
            f"{URL} must be an http:// or https:// URL with a host, without user, password, query or fragment"
        )
    return GatewayAccess(url.rstrip("/"), token)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    plain = parts.username is None and not parts.query and not parts.fragment
    return host and plain and parts.scheme in {"http", "https"} and _PRINTABLE.fullmatch(url) is not None
