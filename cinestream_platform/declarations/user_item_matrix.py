"""The declaration of a fact that recommenders get as files: who rated what, how, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cinestream_platform.declarations.star_table import PartitionedFact
from cinestream_platform.declarations.table import Table


@dataclass(frozen=True, kw_only=True, eq=False)
class UserItemMatrix:
    """Ratings that are written to the lake, a file per partition of their fact.

    Attributes:
        fact: The fact, with ``date_key``.
        user_key: Its column of users.
        item_key: Its column of what they rated.
        rating: Its column of ratings, which fit into 8 bits.
        files: File to the dim whose keys it tells of, and the dim's columns, of which the first is the key.
    """

    fact: PartitionedFact
    user_key: str
    item_key: str
    rating: str
    files: Mapping[str, tuple[Table, tuple[str, ...]]]

    @property
    def columns(self) -> tuple[str, ...]:
        """What is read of the fact."""
        return (self.user_key, self.item_key, self.rating, "date_key")

    @property
    def dims(self) -> list[Table]:
        """The dims that the keys are of."""
        return [dim for dim, _ in self.files.values()]
