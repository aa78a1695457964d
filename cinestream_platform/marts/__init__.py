"""The dbt marts as Dagster assets: project and manifest, translation, resource, assets.

What belongs here: how the dbt project in ``dbt_project/`` is parsed, shown in Dagster and run. The SQL, its contracts
and tests are in ``dbt_project/`` itself; dims and facts are built by the rooms in ``sources/``.
"""
