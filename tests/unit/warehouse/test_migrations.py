"""Migrations that have run on somebody's warehouse: their text is what they are known by."""

from cinestream_platform.warehouse.migrate import declared_migrations

RAN = {
    "0001_ledger": "b60060cf28815984",
    "0002_locks": "e101caa0372916f6",
    "0003_ended_sessions": "388d35a32eda0626",
    "0004_reasons_without_records": "f97d6d102400c08b",
    "0005_many_small_files": "5fdabbd122ab5024",
    "0006_cancelled_work": "fc33dc6fbeac7c95",
    "0007_publications_that_changed": "1ee0d2a44dd50da1",
    "0008_shared_lake_objects": "d34443ac60590828",
    "0020_watermarks": "1bf4ba5d5284b780",
    "0025_warnings_of_files": "9ffc3d742af952f5",
    "0030_platform_views": "9915b08c88694a4d",
    "0045_stale_tables_in_views": "b7c6c4fe7dc3e791",
    "0048_mart_names": "f718b5feaa2ff622",
    "0050_rejected_by_rule": "2947a3c6c9c77d70",
    "0051_declared_facts": "ae986af3f6499285",
    "0052_views_for_pages": "9e089b97a4d05b74",
    "0053_view_columns_described": "31862eacf29ed9bd",
    "0054_as_usual_of_a_source": "237ef45e18491368",
    "0055_grain_in_words": "580f79bb1b1f74fd",
    "0056_alerts": "802fda13a73bc6cf",
    "0060_open_views": "358754fc625892d8",
    "0061_never_rented": "ef00afb0ad7192e7",
    "0062_names_of_sources": "024826e16205a7f9",
    "0063_short_names_of_checks": "2515f440dd40fa6d",
    "0065_services": "70275d26ee7b7e64",
    "0068_metrics": "bf28b2fcb4fe7c32",
    "0069_more_of_the_calendar": "929055f5dfe939f4",
}
"""Name to the beginning of the hash that ``ops.migration`` has. A new migration joins once it is on the main branch."""


def test_no_migration_that_has_run_is_edited_since_its_warehouses_would_be_refused() -> None:
    now = {str(migration): migration.sha256[:16] for migration in declared_migrations()}
    assert {name: now.get(name) for name in RAN} == RAN
