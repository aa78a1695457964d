"""Type-2 history from deliveries of a whole table: which version of a member held when. Pure polars.

Versions follow from *all* deliveries, ordered by when each took effect, and not from the one that came last. A late
delivery, one out of order or a second run therefore gives the versions that arriving in order would have given.
"""

from datetime import UTC, datetime

import polars as pl

BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)
"""``valid_from`` of the first known version: what is older than the first delivery is taken to have been the same."""
EFFECTIVE_AT = "_effective_at"
ORDER = (EFFECTIVE_AT, "_file_id", "_line")
BOOKKEEPING = (*ORDER, "partition_key")
"""What raw rows carry beside the delivered columns."""


def versions(deliveries: pl.LazyFrame, member_id: str) -> pl.LazyFrame:
    """One row a version of a member.

    Args:
        deliveries: The records of all deliveries: ``member_id``, attributes, and ``ORDER``.
        member_id: The column that identifies a member.

    Returns:
        ``member_id``, the attributes, and ``valid_from``, ``valid_to`` (NULL while it holds), ``is_current``,
        ``is_inferred`` (False) and ``is_in_source`` (False for members that the last delivery lacks, whose last version
        goes on to hold). Equal attributes in succession are one version.
    """
    names = [name for name in deliveries.collect_schema().names() if name not in (member_id, *BOOKKEEPING)]
    one_a_time = deliveries.sort(member_id, *ORDER).unique([member_id, EFFECTIVE_AT], keep="last", maintain_order=True)
    differs = [pl.col(name).ne_missing(pl.col(name).shift(1).over(member_id, order_by=EFFECTIVE_AT)) for name in names]
    is_first = pl.col(EFFECTIVE_AT) == pl.col(EFFECTIVE_AT).min().over(member_id)
    begins = one_a_time.with_columns(
        is_in_source=pl.col(EFFECTIVE_AT).max().over(member_id) == pl.col(EFFECTIVE_AT).max(),
        valid_from=pl.when(is_first).then(pl.lit(BEGINNING)).otherwise(pl.col(EFFECTIVE_AT)),
    ).filter(pl.any_horizontal(is_first, *differs))
    until = pl.col("valid_from").shift(-1).over(member_id, order_by="valid_from")
    return begins.with_columns(valid_to=until).select(
        member_id,
        *names,
        "valid_from",
        "valid_to",
        is_current=pl.col("valid_to").is_null(),
        is_inferred=pl.lit(False),
        is_in_source=pl.col("is_in_source"),
    )


def as_of(events: pl.LazyFrame, history: pl.LazyFrame, member_id: str, *, at: str, version: str) -> pl.LazyFrame:
    """Events with the version of a member that was valid when they happened.

    Args:
        events: With ``member_id`` (may be NULL) and the instant ``at``.
        history: What ``versions`` gave, or some columns of it; attributes that the events lack come along.
        member_id: The column that identifies the member, in both.
        at: The column of the events' instant.
        version: Name for the version's ``valid_from`` in the result: NULL without a member, ``BEGINNING`` for a member
            that no delivery has, who becomes an inferred member.
    """
    held = history.drop("valid_to", "is_current", "is_inferred", "is_in_source", strict=False)
    found = events.sort(at).join_asof(
        held.with_columns(pl.col("valid_from").alias(version)).sort("valid_from"),
        left_on=at,
        right_on="valid_from",
        by=member_id,
        strategy="backward",
        coalesce=True,
        check_sortedness=False,
    )
    known = pl.col(version).fill_null(pl.lit(BEGINNING))
    return found.with_columns(pl.when(pl.col(member_id).is_not_null()).then(known).alias(version)).drop("valid_from")
