"""``cinestream docs``: the marts and what they are made from, as dbt describes them, in one page."""

import tempfile
from pathlib import Path

from cinestream_platform.catalog import CATALOG
from cinestream_platform.marts.project import run_dbt, target_dir
from cinestream_platform.marts.resource import connection_environment
from cinestream_platform.orchestration.warehouse import start_and_prepare
from cinestream_platform.settings import Settings

STATIC_PAGE = "static_index.html"


def make_docs(settings: Settings) -> Path:
    """Make ``<home>/docs/index.html``, which needs no server and no network; columns and sizes are the warehouse's.

    Raises:
        DbtFailedError: dbt failed; the page is as it was.
    """
    page = settings.home_dir / "docs" / "index.html"
    target_dir(settings).mkdir(parents=True, exist_ok=True)
    page.parent.mkdir(parents=True, exist_ok=True)
    environment = connection_environment(start_and_prepare(CATALOG, settings))
    with tempfile.TemporaryDirectory(prefix="docs-", dir=target_dir(settings)) as scratch:
        run_dbt(["docs", "generate", "--static"], Path(scratch), environment)
        Path(scratch, STATIC_PAGE).replace(page)
    return page
