"""An OpenID Connect provider: where to send a browser, and who came back (authorization code with PKCE).

Authlib speaks the protocol. What is decided here: the token must be signed with a public-key algorithm, be from this
issuer, for this client, and answer this very request; and which groups, domains and addresses may look or act.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import StarletteOAuth2App
from joserfc.errors import JoseError

from cinestream_platform.errors import CineStreamError
from cinestream_platform.web.login.person import Role

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by a key of the provider alone; with ``HS256`` whoever knows the client's secret could sign."""
ANSWER_SECONDS = 10.0
LEEWAY_SECONDS = 60  # that the provider's clock may differ
MOST_NAME = 100
EVERYBODY = "*"

log = logging.getLogger(__name__)


class ProviderError(CineStreamError):
    """The provider did not answer, or its answer proves nothing; the message is for the person who logs in."""


@dataclass(frozen=True)
class Rules:
    """Who may what: groups, ``@domain`` or ``name@domain`` of verified addresses, or ``*`` for everybody.

    Args:
        viewers: Who may look.
        operators: Who may act too.
        groups_claim: The claim of the token that lists a person's groups.
    """

    viewers: frozenset[str]
    operators: frozenset[str]
    groups_claim: str = "groups"

    @classmethod
    def of(cls, viewers: str, operators: str, groups_claim: str) -> Rules:
        """From settings: entries separated by commas."""
        found = [frozenset(one.strip() for one in text.split(",") if one.strip()) for text in (viewers, operators)]
        return cls(found[0], found[1], groups_claim)

    def role_of(self, claims: Mapping[str, Any]) -> Role | None:
        """The role of the person with these claims; None if nothing lets the person in."""
        marks = {EVERYBODY, *_texts(claims.get(self.groups_claim))}
        # Groups can be named like an address by whoever makes groups: those marks come from a verified address alone.
        marks = {mark for mark in marks if "@" not in mark}
        email = claims.get("email")
        if isinstance(email, str) and claims.get("email_verified") is True and email.count("@") == 1:
            marks |= {email.lower(), f"@{email.lower().partition('@')[2]}"}
        if marks & _folded(self.operators):
            return "operator"
        return "viewer" if marks & _folded(self.viewers) else None


def _folded(entries: frozenset[str]) -> set[str]:
    """Addresses in lower case; groups as they are."""
    return {entry.lower() if "@" in entry else entry for entry in entries}


def _texts(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


class Provider:
    """One issuer of identities.

    Args:
        issuer: Its address, as its tokens name it; what it offers is read below ``/.well-known``.
        client_id: How it knows this platform.
        client_secret: Of the client, if it has one.
        scopes: What is asked for.
    """

    def __init__(self, issuer: str, client_id: str, client_secret: str | None, scopes: str) -> None:
        self.name = urlsplit(issuer).netloc
        self._issuer, self._client_id = issuer, client_id
        self._app = StarletteOAuth2App(
            None,
            name="oidc",
            client_id=client_id,
            client_secret=client_secret,
            server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": scopes,
                "code_challenge_method": "S256",
                "timeout": ANSWER_SECONDS,
                **({} if client_secret else {"token_endpoint_auth_method": "none"}),
            },
        )

    async def begin(self, redirect_uri: str) -> Mapping[str, str]:
        """Where to send the browser (``url``), with what must be the same when it comes back.

        Raises:
            ProviderError: The provider does not answer.
        """
        try:
            await self._load()
            begun = await self._app.create_authorization_url(redirect_uri)
        except (httpx2.HTTPError, OAuthError, RuntimeError, ValueError) as error:
            raise self._away(error) from error
        return {name: str(begun[name]) for name in ("url", "state", "nonce", "code_verifier")}

    async def claims(self, flow: Mapping[str, str], code: str, redirect_uri: str) -> Mapping[str, Any]:
        """What the provider says of the person who came back with a code.

        Raises:
            ProviderError: It does not answer, does not know the code, or its token is not valid for this request.
        """
        try:
            await self._load()
            token = await self._app.fetch_access_token(
                redirect_uri=redirect_uri, code=code, code_verifier=flow["code_verifier"]
            )
        except OAuthError as error:
            log.warning("%s refused a code: %s", self.name, str(error.error)[:100])
            raise ProviderError(f"{self.name} did not confirm this login. Please try again.") from error
        except (httpx2.HTTPError, RuntimeError, ValueError) as error:
            raise self._away(error) from error
        return await self._verified(token, flow["nonce"])

    async def _verified(self, token: Mapping[str, Any], nonce: str) -> Mapping[str, Any]:
        required = {
            "iss": {"essential": True, "value": self._issuer},
            "aud": {"essential": True, "value": self._client_id},
        }
        try:
            found = await self._app.parse_id_token(token, nonce, claims_options=required, leeway=LEEWAY_SECONDS)
        except httpx2.HTTPError as error:
            raise self._away(error) from error
        except (JoseError, OAuthError, ValueError, TypeError, KeyError, AttributeError) as error:
            # Whatever a token is that cannot be verified, it proves nothing.
            log.warning("%s sent a token that is not valid: %s", self.name, type(error).__name__)
            raise ProviderError(f"What {self.name} answered is not valid for this login. Please try again.") from error
        if found is None:
            raise ProviderError(f"{self.name} did not say who you are: it sent no ID token.")
        claims: Mapping[str, Any] = dict(found)
        return claims

    async def _load(self) -> None:
        """What the provider offers, once; of its algorithms those that prove its signature."""
        metadata = await self._app.load_server_metadata()
        if str(metadata.get("issuer", "")) != self._issuer:
            metadata.pop("_loaded_at", None)  # asked again next time: the provider may be mended
            raise ValueError("another issuer")
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = [one for one in offered if one in ALGORITHMS] or ["RS256"]

    def _away(self, error: Exception) -> ProviderError:
        log.warning("%s cannot be used: %s", self.name, type(error).__name__)
        return ProviderError(f"{self.name} does not answer as an OpenID Connect provider. Please try again later.")


def name_in(claims: Mapping[str, Any]) -> str:
    """What a person is called, bounded."""
    found = (claims.get(key) for key in ("preferred_username", "email", "name", "sub"))
    return next((text for text in found if isinstance(text, str) and text), "somebody")[:MOST_NAME]
