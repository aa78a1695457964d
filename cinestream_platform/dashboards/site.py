"""Every page that there is, in the order in which addresses are compared."""

from cinestream_platform.dashboards.catalog.page import CATALOG
from cinestream_platform.dashboards.definitions.page import METRICS
from cinestream_platform.dashboards.file.page import FILE
from cinestream_platform.dashboards.files.page import FILES
from cinestream_platform.dashboards.lineage.page import COLUMN_LINEAGE, LINEAGE
from cinestream_platform.dashboards.table.page import TABLE
from cinestream_platform.dashboards.today.page import TODAY

PAGES = (TODAY, CATALOG, METRICS, TABLE, FILES, FILE, LINEAGE, COLUMN_LINEAGE)
