"""What the fork server imports once for all dying children; nothing here connects or starts a thread."""

import cinestream_platform.automation.catch_up
import cinestream_platform.marts.assets
import cinestream_platform.sources.movielens.assets
import cinestream_platform.sources.netflix.assets
import cinestream_platform.warehouse.setup  # noqa: F401
import tests.support.platform
import tests.support.shop  # noqa: F401
