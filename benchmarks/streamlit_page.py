"""Today in Streamlit, from the same queries: served by streamlit_arm.py in the peers' environment."""

import os
from pathlib import Path

import altair as alt
import psycopg
import streamlit as st
from psycopg.rows import dict_row

TILES = Path(__file__).parents[1] / "cinestream_platform" / "dashboards" / "today"


@st.cache_data(ttl=30)
def rows(tile: str) -> list[dict]:
    """One tile's rows, asked for at most twice a minute by all sessions together."""
    with psycopg.connect(os.environ["DSN"], row_factory=dict_row) as conn:
        return conn.execute((TILES / f"{tile}.sql").read_text()).fetchall()


st.title("Today")
for source in rows("sources"):
    st.metric(source["source"], source["verdict"], f"{source['rows_rejected'] or 0:,} rejected")
landed = rows("landed_by_hour")
values = alt.Data(values=[{name: str(value) for name, value in row.items()} for row in landed])
st.altair_chart(alt.Chart(values).mark_bar().encode(x="hour:O", y="records:Q"))
for tile in ("landed", "waiting_files", "held_work", "checks", "marts", "runs"):
    st.subheader(tile)
    st.table([{name: str(value) for name, value in row.items()} for row in rows(tile)])
