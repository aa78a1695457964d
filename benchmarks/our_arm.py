"""Our way: the file is landed, and its raw asset's loader takes it from there: our_arm.py CSV."""

import sys
from pathlib import Path

from cinestream_platform.automation.landing import scan_landing
from cinestream_platform.catalog import CATALOG
from cinestream_platform.commands.files import land_path
from cinestream_platform.lake.store import open_lake, open_landing
from cinestream_platform.loading.files import FileLoader
from cinestream_platform.orchestration.warehouse import start_and_prepare
from cinestream_platform.settings import get_settings
from cinestream_platform.sources.movielens.feeds import RATINGS

settings = get_settings()
target = start_and_prepare(CATALOG, settings)
landing = open_landing(settings)
list(land_path(get_settings(), "movielens", Path(sys.argv[1]), dataset="ratings"))
scan_landing(settings, target, landing)
loader = FileLoader(settings, target, landing, open_lake(settings), RATINGS, "benchmark")
for report in loader.load_pending():
    print(report.outcome, f"{report.rows_loaded:,}", report.reason)
