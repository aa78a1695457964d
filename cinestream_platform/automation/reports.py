"""The relationship reports, made anew once a day; on demand by materializing them. No file asks for one."""

from dagster import AssetSelection, DefaultScheduleStatus, ScheduleDefinition, define_asset_job

from cinestream_platform.orchestration.report import REPORT_KIND

REPORTS_JOB = define_asset_job(
    "relationship_reports",
    AssetSelection.kind(REPORT_KIND),
    description="Profiles every source's raw tables and what relates them.",
)

REPORTS_SCHEDULE = ScheduleDefinition(
    job=REPORTS_JOB,
    cron_schedule="0 4 * * *",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Makes the relationship reports anew, once a day.",
)
