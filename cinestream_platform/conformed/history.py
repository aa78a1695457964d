"""Type-2 history from deliveries of a whole table: which version of a member held when. Pure polars.

Versions follow from *all* deliveries, ordered by when each took effect, and not from the one that came last. A late
delivery, one out of order or a second run therefore gives the versions that arriving in order would have given.
"""

import polars as pl

from cinestream_platform.ledger.deliveries import BEGINNING

EFFECTIVE_AT = "_effective_at"
CHANGED_AT = "_changed_at"
GONE_AT = "_gone_at"
ORDER = (EFFECTIVE_AT, "_file_id", "_line")
BOOKKEEPING = (*ORDER, "partition_key", CHANGED_AT)
"""What raw rows may carry beside the delivered columns."""


def versions(deliveries: pl.LazyFrame, member_id: str) -> pl.LazyFrame:
    """One row per version of a member.

    Args:
        deliveries: The records of all deliveries: ``member_id``, attributes, and ``ORDER``. Where the source says when
            it changed a record, in ``_changed_at``, and that lies after the delivery that it differs from, the version
            begins then, and else with the delivery.
        member_id: The column that identifies a member.

    Returns:
        ``member_id``, the attributes, and ``valid_from``, ``valid_to`` (NULL while it holds), ``is_current``,
        ``is_inferred`` (False) and ``is_in_source`` (False for members that the last delivery lacks, whose last version
        goes on to hold). Equal attributes in succession are one version.
    """
    columns = deliveries.collect_schema().names()
    names = [name for name in columns if name not in (member_id, *BOOKKEEPING)]
    one_a_time = deliveries.sort(member_id, *ORDER).unique([member_id, EFFECTIVE_AT], keep="last", maintain_order=True)

    def before(column: str) -> pl.Expr:
        return pl.col(column).shift(1).over(member_id, order_by=EFFECTIVE_AT)

    is_first = pl.col(EFFECTIVE_AT) == pl.col(EFFECTIVE_AT).min().over(member_id)
    begin = pl.col(EFFECTIVE_AT)
    if CHANGED_AT in columns:
        # Not at the delivery before, with which another version may begin.
        is_between = pl.col(CHANGED_AT).is_between(before(EFFECTIVE_AT), begin, closed="right")
        begin = pl.when(is_between).then(CHANGED_AT).otherwise(begin)
    begins = one_a_time.with_columns(
        is_in_source=pl.col(EFFECTIVE_AT).max().over(member_id) == pl.col(EFFECTIVE_AT).max(),
        valid_from=pl.when(is_first).then(pl.lit(BEGINNING)).otherwise(begin),
        differs=is_first | pl.any_horizontal(pl.col(name).ne_missing(before(name)) for name in names),
    ).filter("differs")
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


def newest(deliveries: pl.LazyFrame) -> pl.LazyFrame:
    """The records of the delivery that holds now."""
    return deliveries.filter(pl.col(EFFECTIVE_AT) == pl.col(EFFECTIVE_AT).max())


def last_known(deliveries: pl.LazyFrame, member_id: str) -> pl.LazyFrame:
    """Each member as the last delivery that has it says, also one that the newest delivery lacks.

    ``_gone_at`` is when the first delivery without it took effect, NULL for a member that the newest one has.
    """
    moments = deliveries.select(EFFECTIVE_AT).unique().sort(EFFECTIVE_AT)
    following = moments.with_columns(pl.col(EFFECTIVE_AT).shift(-1).alias(GONE_AT))
    last = deliveries.filter(pl.col(EFFECTIVE_AT) == pl.col(EFFECTIVE_AT).max().over(member_id))
    return last.join(following, on=EFFECTIVE_AT, how="left")


def aligned(*tables: pl.LazyFrame) -> list[pl.LazyFrame]:
    """Each table as it was whenever any of them was delivered, so that they can be joined on ``_effective_at``.

    Before its first delivery a table is taken to have been as it was then.
    """
    delivered = [table.select(EFFECTIVE_AT).unique() for table in tables]
    moments = pl.concat(delivered).unique().rename({EFFECTIVE_AT: "moment"})
    found = []
    for table, times in zip(tables, delivered, strict=True):
        # The delivery in force at a moment is the last one before it, or else the first of all.
        pairs = moments.join(times, how="cross").with_columns(is_past=pl.col(EFFECTIVE_AT) <= pl.col("moment"))
        last = pl.col(EFFECTIVE_AT).filter("is_past").max()
        in_force = pairs.group_by("moment").agg(last.fill_null(pl.col(EFFECTIVE_AT).min()))
        found.append(table.join(in_force, on=EFFECTIVE_AT).drop(EFFECTIVE_AT).rename({"moment": EFFECTIVE_AT}))
    return found


def as_of(events: pl.LazyFrame, history: pl.LazyFrame, member_id: str, *, at: str, version: str) -> pl.LazyFrame:
    """Events with the version of a member that was valid when they happened.

    Args:
        events: With ``member_id`` (may be NULL) and the instant ``at``.
        history: ``member_id`` and ``valid_from`` of what ``versions`` gave; attributes come along.
        member_id: The column that identifies the member, in both.
        at: The column of the events' instant.
        version: Name for the version's ``valid_from`` in the result: NULL without a member, ``BEGINNING`` for a member
            that no delivery has, who becomes an inferred member.
    """
    found = events.sort(at).join_asof(
        history.with_columns(pl.col("valid_from").alias(version)).sort("valid_from"),
        left_on=at,
        right_on="valid_from",
        by=member_id,
        strategy="backward",
        coalesce=True,
        check_sortedness=False,
    )
    known = pl.col(version).fill_null(pl.lit(BEGINNING))
    return found.with_columns(pl.when(pl.col(member_id).is_not_null()).then(known).alias(version)).drop("valid_from")
