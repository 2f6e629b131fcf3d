"""What a subscriber gives the gateway to be let in at its sink: a bearer token, or what one is fetched with."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

TOKEN_CHARS_MAX: Final = 8192
_BEARER: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A bearer token for the sink: it shows in no repr, and leaves in the `Authorization` header alone.

    `expires_utc` is the subscriber's own note, kept as given: a token that has run out shows as 401 and is
    retried.
    """

    token: str = field(repr=False)
    expires_utc: str | None = None

    def to_json(self) -> dict[str, object]:
        """As in the resource, the token included: for the vault only."""
        return present({**self.view(), "accesstoken": self.token})

    def view(self) -> dict[str, object]:
        """What may be shown: everything but the token (CONFORMANCE 36)."""
        return present({"credentialtype": "ACCESSTOKEN", "accesstokenexpiresutc": self.expires_utc})


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """What an access token for the sink is fetched with: OAuth 2.0 client credentials (RFC 6749, section 4.4).

    The secret shows in no repr, and leaves to the token endpoint alone.
    """

    token_url: str = field(repr=False)
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None = None
    audience: str | None = None

    def to_json(self) -> dict[str, object]:
        """As in the resource, the secret included: for the vault only."""
        return {**self.view(), "clientsecret": self.client_secret}

    def view(self) -> dict[str, object]:
        """What may be shown: everything but the secret (CONFORMANCE 36)."""
        return present(
            {
                "credentialtype": "OAUTH2CLIENTCREDENTIALS",
                "tokenurl": self.token_url,
                "clientid": self.client_id,
                "scope": self.scope,
                "audience": self.audience,
            }
        )


Credential: TypeAlias = AccessToken | ClientCredentials


def is_bearer_token(text: str) -> bool:
    """Whether a text can stand behind `Bearer ` (RFC 6750, section 2.1) and is not too long."""
    return len(text) <= TOKEN_CHARS_MAX and _BEARER.fullmatch(text) is not None


def credential_from(members: Mapping[str, Any]) -> Credential:
    """What a credential's ``to_json`` wrote."""
    if members["credentialtype"] == "ACCESSTOKEN":
        return AccessToken(members["accesstoken"], members.get("accesstokenexpiresutc"))
    return ClientCredentials(
        token_url=members["tokenurl"],
        client_id=members["clientid"],
        client_secret=members["clientsecret"],
        scope=members.get("scope"),
        audience=members.get("audience"),
    )


def present(members: Mapping[str, object]) -> dict[str, object]:
    """The members without those that are None."""
    return {name: value for name, value in members.items() if value is not None}
