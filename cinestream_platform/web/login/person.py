"""Somebody who is logged in, and what the roles are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from cinestream_platform.errors import CineStreamError

Role = Literal["viewer", "operator"]
"""A viewer looks; an operator also starts, stops and changes things."""
ROLES: tuple[Role, ...] = get_args(Role)


class LoginError(CineStreamError):
    """Login cannot be set up; the message names the setting."""


@dataclass(frozen=True)
class Person:
    """Who asks.

    Args:
        name: As the file of people or the provider has it.
        role: What the person may do.
        session: Of this login; random.
        proof: What the session stands on, such as the password at that time.
    """

    name: str
    role: Role
    session: str
    proof: str = ""
