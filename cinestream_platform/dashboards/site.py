"""Every page that there is, in the order in which addresses are compared, and which need no login."""

from cinestream_platform.dashboards.catalog.page import CATALOG
from cinestream_platform.dashboards.definitions.page import METRICS
from cinestream_platform.dashboards.file.page import FILE
from cinestream_platform.dashboards.files.page import FILES
from cinestream_platform.dashboards.lineage.page import COLUMN_LINEAGE, LINEAGE
from cinestream_platform.dashboards.table.page import TABLE
from cinestream_platform.dashboards.today.page import TODAY
from cinestream_platform.errors import CineStreamError

PAGES = (TODAY, CATALOG, METRICS, TABLE, FILES, FILE, LINEAGE, COLUMN_LINEAGE)
PUBLIC = {
    "today": ("/", "/api/today"),
    "catalog": ("/catalog", "/api/catalog", "/api/metrics"),
    "files": ("/files", "/api/files"),
    "lineage": ("/lineage",),
}
"""How the addresses of pages begin, by the name that ``CINESTREAM_WEB_PUBLIC_PAGES`` has for them."""


class PublicPagesError(CineStreamError):
    """A public page is named that does not exist; the message says which."""


def public_addresses(named: str) -> tuple[str, ...]:
    """The addresses that need no login.

    Args:
        named: Names of pages, separated by commas, or ``all``.

    Raises:
        PublicPagesError: There is no such page.
    """
    names = [name.strip() for name in named.split(",") if name.strip()]
    if unknown := [name for name in names if name not in (*PUBLIC, "all")]:
        raise PublicPagesError(
            f"CINESTREAM_WEB_PUBLIC_PAGES: {unknown[0][:60]!r} is no page; there are {', '.join(PUBLIC)}, and all"
        )
    shown = list(PUBLIC) if "all" in names else names
    news = ("/events",) if shown else ()  # says that there is something new, and not what
    return (*(address for name in shown for address in PUBLIC[name]), *news)
