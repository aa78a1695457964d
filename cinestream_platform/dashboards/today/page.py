"""Today: one verdict for each source, and what it is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cinestream_platform.dashboards import charts
from cinestream_platform.dashboards.pages import Page, Parameters
from cinestream_platform.dashboards.warehouse import Row, Rows
from cinestream_platform.dashboards.words import listed, number
from cinestream_platform.messages import counted

if TYPE_CHECKING:
    import altair as alt

SHOWN_STATES = {"fine": "good", "look": "look", "broken": "bad", "empty": "idle"}
WATCHED = timedelta(minutes=5)  # sensors look every few seconds, and note it once a minute
SERVICES = {
    "daemon": "Dagster's daemon, which loads what lands",
    "webserver": "Dagster's UI",
    "webserver-read-only": "Dagster's UI for people who only look",
}
WORDS = {"fine": "Fine", "look": "Needs a look", "broken": "Wrong", "empty": "Empty"}


def view(rows: Rows, _: Parameters) -> Mapping[str, Any]:
    """What the page shows, and ``/api/today.json`` gives."""
    [health] = rows["health"]
    sources = [judged(row, health["looked_at"]) for row in rows["sources"]]
    return {
        "title": "Today",
        "headline": headline(sources, [disk for disk in rows["disks"] if disk["is_short"]], rows["alerts"]),
        "looked_at": health["looked_at"],
        "is_empty": all(row["verdict"] == "empty" for row in sources),
        "sources": sources,
        "alerts": rows["alerts"],
        "channels": rows["channels"],
        "health": health,
        "landed": rows["landed"],
        "landed_by_hour": rows["landed_by_hour"],
        "waiting_files": rows["waiting_files"],
        "held_work": rows["held_work"],
        "checks": rows["checks"],
        "marts": rows["marts"],
        "runs": rows["runs"],
        "services": services(rows["services"], sources),
        "disks": rows["disks"],
        "charts": {"landed": charts.spec(landed_chart(rows["landed_by_hour"], health["looked_at"]), LANDED)}
        if rows["landed_by_hour"]
        else {},
    }


def services(rows: Sequence[Row], sources: Sequence[Row]) -> list[Row]:
    """Which of Dagster's processes live, and whether the daemon works; the read-only UI is shown if it is there."""
    is_watched = any(source["is_watched"] for source in sources)
    found: list[Row] = []
    for row in rows:
        name, optional = SERVICES[row["service"]], row["service"] == "webserver-read-only"
        if row["is_running"] and row["service"] == "daemon" and not is_watched:
            state, word = "look", "Looks for nothing"
        elif row["is_running"]:
            state, word = "good", "Runs"
        elif optional:
            continue
        else:
            state, word = "idle", "Does not run"
        found.append({"service": row["service"], "name": name, "state": state, "word": word})
    return found


def judged(row: Row, now: datetime) -> Row:
    """A source with its verdict as a sentence, and whether somebody looks for news of it."""
    looked = row["last_looked_at"]
    return row | {
        "is_watched": looked is not None and now - looked < WATCHED,
        "state": SHOWN_STATES[row["verdict"]],
        "word": WORDS[row["verdict"]],
        "sentence": sentence(row),
        "reasons": list(row["reasons"] or ()),
    }


def sentence(row: Row) -> str:
    """Whether a source is fresh and whole, what is the matter otherwise, and what was rejected."""
    if row["verdict"] == "empty":
        return "is empty: nothing has landed yet."
    if row["verdict"] == "fine":
        return f"is fresh and whole{rejected(row)}."
    word = "is wrong" if row["verdict"] == "broken" else "needs a look"
    return f"{word}: {listed(list(row['reasons']))}{rejected(row)}."


def rejected(row: Row) -> str:
    """The records of the newest deliveries that were rejected, and whether that is usual."""
    if not row["records"]:
        return ""
    records, refused = row["records"], row["rows_rejected"]
    if not refused:
        return f"; none of {number(records)} records was rejected"
    usual = {True: ", as usual", False: ", more than usual", None: ""}[row["is_as_usual"]]
    return f"; {number(refused)} of {number(records)} records {'was' if refused == 1 else 'were'} rejected{usual}"


def headline(sources: Sequence[Row], short_disks: Sequence[Row], alerts: Sequence[Row] = ()) -> Mapping[str, str]:
    """The whole page in one sentence."""
    if short_disks:
        return {"state": "bad", "word": "Wrong", "text": "A disk is nearly full."}
    filled = [row for row in sources if row["verdict"] != "empty"]
    if not filled:
        return {"state": "idle", "word": "Empty", "text": "Nothing has landed yet."}
    for verdict in ("broken", "look"):
        found = [row["title"] for row in filled if row["verdict"] == verdict]
        if found:
            word = "is wrong" if verdict == "broken" else "needs a look"
            words = "are wrong" if verdict == "broken" else "need a look"
            text = f"{listed(found)} {word if len(found) == 1 else words}."
            return {"state": SHOWN_STATES[verdict], "word": WORDS[verdict], "text": text}
    if alerts:  # of what is no source's own: a channel, a certificate, a run
        verdict = "broken" if any(alert["severity"] == "error" for alert in alerts) else "look"
        text = f"{counted(alerts[0]['total'], 'alert is', 'alerts are')} open."
        return {"state": SHOWN_STATES[verdict], "word": WORDS[verdict], "text": text}
    what = counted(len(filled), "source is", "sources are")
    empty = len(sources) - len(filled)
    rest = f"; {counted(empty, 'other is', 'others are')} empty" if empty else ""
    text = f"{'All ' if not empty and len(filled) > 1 else ''}{what} fresh and whole{rest}."
    return {"state": "good", "word": "Fine", "text": text}


LANDED = "Records that were loaded in the last 24 hours, for each hour and source"


def landed_chart(rows: Sequence[Row], now: datetime) -> alt.Chart:
    """Records an hour, up to this one."""
    import altair as alt

    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    first, last = hour - timedelta(hours=23), hour + timedelta(hours=1)
    window = [f"{one:%Y-%m-%dT%H:%M:%SZ}" for one in (first, last)]
    chart: alt.Chart = (
        alt.Chart(charts.values(rows), height=160)
        .mark_bar()
        .encode(
            x=alt.X(
                "utcyearmonthdatehours(hour):T",
                title=None,
                axis=alt.Axis(format="%H:%M", labelOverlap=True),
                scale=alt.Scale(domain=window, type="utc"),
            ),
            y=alt.Y("rows_loaded:Q", title="records", axis=alt.Axis(format="~s", tickCount=4)),
            color=alt.Color("source:N", legend=alt.Legend(columns=2)),
            tooltip=[
                alt.Tooltip("source:N", title="source"),
                alt.Tooltip("rows_loaded:Q", title="records loaded", format=","),
                alt.Tooltip("rows_rejected:Q", title="rejected", format=","),
                alt.Tooltip("files:Q", title="files", format=","),
            ],
        )
    )
    return chart


TODAY = Page("today", "/", view, shows_disks=True, data_path="/api/today.json")
