"""What stakeholders may ask by GraphQL: every field of the installed schema is decided."""

from __future__ import annotations

import json

import pytest
from dagster_graphql.schema import create_schema
from graphql import GraphQLList, GraphQLNonNull, OperationType

from cinestream_platform.web.queries import (
    CLOSED,
    CLOSED_ANYWHERE,
    OPEN,
    ROOT_TYPES,
    SUBSCRIPTIONS,
    refusal_of_body,
    refusal_of_message,
    refusal_of_payload,
)

SCHEMA = create_schema().graphql_schema


def asked(query: str) -> str | None:
    return refusal_of_payload({"query": query}, OperationType.QUERY)


def test_every_field_of_the_query_is_decided_once():
    assert set(SCHEMA.query_type.fields) - OPEN - CLOSED == set()
    assert OPEN.isdisjoint(CLOSED)
    assert set(SCHEMA.query_type.fields) >= OPEN | CLOSED


def test_every_subscription_that_is_open_is_known_and_none_has_logs():
    assert set(SCHEMA.subscription_type.fields) - SUBSCRIPTIONS == {"pipelineRunLogs", "capturedLogs"}


def test_no_open_field_leads_to_logs():
    """Every field whose type is of logs has a name that is closed, wherever it stands."""

    def named(kind: object) -> str:
        while isinstance(kind, GraphQLNonNull | GraphQLList):
            kind = kind.of_type
        return kind.name  # type: ignore[attr-defined]

    of_logs = {
        "CapturedLogs",
        "CapturedLogsMetadata",
        "EventConnection",
        "EventConnectionOrError",
        "InstigationEventConnection",
    }
    fields = {
        name
        for kind in SCHEMA.type_map.values()
        for name, field in getattr(kind, "fields", {}).items()
        if named(field.type) in of_logs and named(kind) not in ROOT_TYPES[2:]
    }
    assert fields == CLOSED_ANYWHERE


def test_the_root_types_are_those_of_the_schema():
    roots = (SCHEMA.query_type, SCHEMA.mutation_type, SCHEMA.subscription_type)
    assert set(ROOT_TYPES) >= {root.name for root in roots}


@pytest.mark.parametrize(
    "query",
    [
        "{ version }",
        "query Q { assetsOrError { __typename ... on AssetConnection { nodes { id } } } }",
        "query Q { ...F } fragment F on Query { version }",
        "{ __schema { queryType { name } } }",
    ],
)
def test_decided_queries_are_asked(query):
    assert asked(query) is None


@pytest.mark.parametrize(
    "query",
    [
        "mutation { setNuxSeen }",
        "query A { version } mutation B { setNuxSeen }",
        "mutation { reloadWorkspace { __typename } }",
        "subscription { locationStateChangeEvents { event { message } } }",
        '{ logsForRun(runId: "x") { __typename } }',
        '{ v: capturedLogs(logKey: ["x"]) { stdout } }',
        '{ runOrError(runId: "x") { ... on Run { e: eventConnection { cursor } } } }',
        '{ runOrError(runId: "x") { ...R } } fragment R on Run { capturedLogs(fileKey: "a") { stdout } }',
        '{ partitionBackfillOrError(backfillId: "x") { ... on PartitionBackfill { logEvents { cursor } } } }',
        'query { ...F } fragment F on Query { logsForRun(runId: "x") { __typename } }',
        "query { ... on Query { newInSomeVersion } }",
        "query { ...F } fragment F on Query { newInSomeVersion }",
        "{ newInSomeVersion }",
        "fragment F on Query { version }",
        "{ version",
        "{" * 5_000,
        "{ " + "version " * 30_000 + "}",
        "",
    ],
)
def test_everything_else_is_refused(query):
    assert asked(query) is not None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"null", b"\xff", b'{"query": 1}', b'[{"query": "{ version }"}]', b"[" * 100_000]
)
def test_a_body_without_a_query_is_refused(body):
    assert refusal_of_body(body) is not None


def test_a_websocket_takes_the_open_subscription_and_no_other():
    def message(kind: str, query: str) -> str:
        return json.dumps({"type": kind, "id": "1", "payload": {"query": query}})

    assert refusal_of_message('{"type": "connection_init"}') is None
    assert (
        refusal_of_message(message("start", "subscription { locationStateChangeEvents { event { message } } }")) is None
    )
    for query in (
        'subscription { pipelineRunLogs(runId: "x") { __typename } }',
        'subscription { capturedLogs(logKey: ["x"]) { stdout } }',
        'subscription { ...F } fragment F on Subscription { capturedLogs(logKey: ["x"]) { stdout } }',
        "mutation { setNuxSeen }",
        "{ version }",
    ):
        assert refusal_of_message(message("start", query)) is not None, query
    assert refusal_of_message("[]") is not None
    assert refusal_of_message("") is not None
