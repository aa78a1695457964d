"""What is asked every few seconds costs the same after years of publications."""

from __future__ import annotations

from tests.support.platform import Platform

PLAN = """
EXPLAIN (COSTS OFF) SELECT max(publication_id) FROM ops.publication
WHERE is_changed AND (schema_name, table_name, partition_key) = ('movielens_dw', 'fact_ratings', '2005')
"""


def test_the_last_change_of_a_partition_is_found_by_an_index(platform: Platform) -> None:
    platform.execute(
        "INSERT INTO ops.publication (schema_name, table_name, partition_key, run_id, rows, content_hash, is_changed,"
        " is_latest, file_ids) SELECT 's', 't', (n %% 100)::text, 'r', 1, 'h', true, false, '{1}'"
        " FROM generate_series(1, 20000) n"
    )
    platform.execute("ANALYZE ops.publication")

    plan = "\n".join(line for (line,) in platform.query(PLAN))

    assert "publication_changed" in plan
    assert "Seq Scan" not in plan
