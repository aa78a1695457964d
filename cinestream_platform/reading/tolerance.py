"""Numbers as people's tools write them, where another form than the declared one changes no value.

pandas writes every nullable whole number as ``862.0``, and a sum of binary floats as ``11.879999999999999``. Both are
read as what was meant, exactly, and counted by column. ``862.5`` and ``11.875`` (of two places) say something else and
break the rule of their column's type. What does not belong here: when a value is looked at so (``records``).
"""

import polars as pl

from cinestream_platform.declarations.column import Column, Kind

NOISE_DIGITS = 6
"""Noise is less than a millionth of the last declared place."""
WHOLE_KINDS = (Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT)


def is_whole(column: Column) -> bool:
    """Whether the column's values are whole numbers."""
    return column.is_epoch_seconds or column.type.kind in WHOLE_KINDS


def is_number(column: Column) -> bool:
    """Whether values of the column can be tolerated in another form."""
    return is_whole(column) or column.type.kind is Kind.NUMERIC


def tolerated(column: Column, wide: pl.Decimal) -> pl.Expr:
    """The value that a text of a number's column stands for in another form than the declared one, or null.

    Args:
        column: A column of whole numbers or decimals.
        wide: The type in which a decimal is judged.
    """
    text = pl.col(column.name)
    if is_whole(column):
        return text.str.extract(r"^([+-]?[0-9]+)\.0+$").cast(pl.Int64, strict=False)
    return _without_noise(text, column.type.scale or 0, wide)


def _without_noise(text: pl.Expr, scale: int, wide: pl.Decimal) -> pl.Expr:
    """The decimal that a text is less than a millionth of the last place away from, by its digits and not by floats."""
    begin, far = rf"^([+-]?[0-9]*\.[0-9]{{{scale}}})", rf"{{{NOISE_DIGITS}}}[0-9]*"
    below = text.str.extract(rf"{begin}0{far}$").cast(wide, strict=False)
    # 999999 alone is a whole millionth away: a digit that is not a zero must follow.
    above = text.str.extract(rf"{begin}9{far}[1-9][0-9]*$").cast(wide, strict=False)
    step = pl.lit(f"0.{'0' * (scale - 1)}1" if scale else "1").cast(wide)
    rounded = pl.when(text.str.starts_with("-")).then(above - step).otherwise(above + step).cast(wide)
    # Around zero floats are written with an exponent: 5.551115123125783e-17, with one digit before the point.
    exponent = text.str.extract(r"^[+-]?[0-9](?:\.[0-9]*)?[eE]-([0-9]{1,4})$").cast(pl.Int64, strict=False)
    zero = pl.when(exponent > scale + NOISE_DIGITS).then(pl.lit("0").cast(wide))
    return pl.coalesce(below, rounded, zero)
