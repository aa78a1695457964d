# The platform's image: one for webserver, daemon, code location and commands. See docker-compose.yml.
FROM python:3.13.14-slim-trixie

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /opt/cinestream

# The locked packages first: they change rarely, and a change of our own files then costs seconds.
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock

# Installed in place: the dbt project and Dagster's configuration lie beside the package, as in a checkout.
COPY pyproject.toml dagster.yaml ./
COPY docker/workspace.yaml docker/
COPY dbt_project dbt_project
COPY cinestream cinestream
COPY cinestream_platform cinestream_platform
RUN pip install --no-deps --no-build-isolation --editable . \
    && python -m compileall -q cinestream cinestream_platform \
    && groupadd --gid 10001 cinestream \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/cinestream cinestream \
    && install --directory --owner=cinestream --group=cinestream /var/lib/cinestream

# A volume takes over the owner of this folder; files on their way into the warehouse are kept in it, not in /tmp.
ENV CINESTREAM_HOME=/var/lib/cinestream \
    DAGSTER_HOME=/var/lib/cinestream/dagster \
    HOME=/var/lib/cinestream
USER 10001:10001
VOLUME /var/lib/cinestream

# Dagster writes what it has no other place for into its working folder.
WORKDIR /var/lib/cinestream

# What the platform's processes write is closed to other accounts.
ENTRYPOINT ["sh", "-c", "umask 077 && exec \"$@\"", "sh"]
CMD ["cinestream", "doctor"]
