"""Keeping what checks found in the ledger, where they are reported: Dagster's own database is not for readers.

What belongs here: from Dagster's results to ``ledger.check_results``. What checks look at is in ``raw_checks``,
``table_checks``, ``query_check`` and in the dbt project.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from dagster import AssetCheckEvaluation, AssetCheckResult, AssetKey, MaterializeResult

from cinestream_platform.ledger import check_results
from cinestream_platform.ledger.check_results import Evaluation
from cinestream_platform.messages import describe
from cinestream_platform.warehouse.kept_connections import kept_connection

P = ParamSpec("P")
R = TypeVar("R")
Checked = AssetCheckResult | AssetCheckEvaluation


def keeps_checks(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate the generator of an asset, which needs the resource ``warehouse``: what its checks found is kept.

    Also when it fails: the checks of broken rules are reported before the error.
    """

    @wraps(function)
    def generate(*args: P.args, **kwargs: P.kwargs) -> Iterator[Any]:
        context = cast("Any", kwargs.get("context", args[0] if args else None))
        found: list[Checked] = []
        try:
            for event in cast("Iterable[Any]", function(*args, **kwargs)):
                found += checked(event)
                yield event
        finally:
            keep(context, found)

    return cast("Callable[P, R]", generate)


def checked(event: Any) -> list[Checked]:
    """The results of checks that an event of an asset holds."""
    if isinstance(event, AssetCheckResult | AssetCheckEvaluation):
        return [event]
    return list(event.check_results or ()) if isinstance(event, MaterializeResult) else []


def keep(context: Any, found: Iterable[Checked]) -> None:
    """Enter results of checks. What is loaded or published is so, whatever comes of this."""
    evaluations = [evaluation(result, context) for result in found]
    if not evaluations:
        return
    try:
        with kept_connection(context.resources.warehouse.target()) as conn:
            check_results.record(conn, context.run.run_id, evaluations)
    except Exception as error:
        context.log.warning("What checks found is not entered in the ledger: %s", describe(error))


def evaluation(result: Checked, context: Any = None) -> Evaluation:
    """A result as the ledger has it: numbers, and no texts, which samples are made of."""
    key = result.asset_key or cast("AssetKey", context.asset_key)
    counts = {}
    for name, value in (result.metadata or {}).items():
        number = getattr(value, "value", value)
        if isinstance(number, int | float) and not isinstance(number, bool):
            counts[name.rpartition("/")[2]] = number
    return Evaluation(
        source=key.path[0],
        asset=key.path[-1],
        check_name=cast("str", result.check_name),
        is_passed=result.passed,
        severity=result.severity.value.lower(),
        counts=counts,
    )
