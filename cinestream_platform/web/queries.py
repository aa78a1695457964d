"""What the read-only webserver lets GraphQL ask: queries of decided fields, and nothing that returns logs.

Dagster's own ``--read-only`` turns off the buttons and most mutations, but neither all of them (telemetry, reloading)
nor the logs. A test goes through the schema of the installed version and fails on a field that nobody decided.
"""

import json
from collections.abc import Iterator
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    Visitor,
    parse,
    visit,
)

MOST_TOKENS = 20_000  # the UI's longest query has some 3,000

SUBSCRIPTIONS = frozenset({"locationStateChangeEvents"})
# fmt: off
OPEN = frozenset({
    "version", "repositoriesOrError", "repositoryOrError", "workspaceOrError", "locationStatusesOrError",
    "workspaceLocationEntryOrError", "pipelineOrError", "resourcesOrError", "pipelineSnapshotOrError",
    "graphOrError", "scheduler", "scheduleOrError", "schedulesOrError", "sensorOrError", "sensorsOrError",
    "instigationStateOrError", "instigationStatesOrError", "partitionSetsOrError", "partitionSetOrError",
    "pipelineRunsOrError", "pipelineRunOrError", "runsOrError", "runOrError", "runsFeedOrError",
    "runsFeedCountOrError", "runTagKeysOrError", "runTagsOrError", "runIdsOrError", "runGroupOrError",
    "isPipelineConfigValid", "executionPlanOrError", "runConfigSchemaOrError", "instance", "assetsOrError",
    "assetRecordsOrError", "assetOrError", "assetNodes", "assetNodeOrError", "assetNodeAdditionalRequiredKeys",
    "assetNodeDefinitionCollisions", "partitionBackfillOrError", "assetBackfillPreview",
    "partitionBackfillsOrError", "permissions", "canBulkTerminate", "assetsLatestInfo", "shouldShowNux",
    "autoMaterializeAssetEvaluationsOrError", "truePartitionsForAutomationConditionEvaluationNode",
    "autoMaterializeEvaluationsForEvaluationId", "assetConditionEvaluationForPartition",
    "assetConditionEvaluationRecordsOrError", "assetConditionEvaluationsForEvaluationId", "autoMaterializeTicks",
    "assetCheckExecutions", "latestDefsStateInfo",
})
# fmt: on
"""Fields of the query's root that stakeholders may ask for."""
# fmt: off
CLOSED = frozenset({
    "logsForRun", "capturedLogsMetadata", "capturedLogs", "test", "utilizedEnvVarsOrError",
    "topLevelResourceDetailsOrError", "allTopLevelResourceDetailsOrError", "appManagedComponentsForLocationOrError",
    "componentsForLocationOrError", "componentTypesForLocationOrError",
})
# fmt: on
"""Fields of the query's root that they may not: logs, and the configuration of resources."""
CLOSED_ANYWHERE = frozenset({"capturedLogs", "capturedLogsMetadata", "logsForRun", "eventConnection", "logEvents"})
"""Fields that return logs, at whatever depth: of a run, a tick, a backfill."""
ROOT_TYPES = ("Query", "Mutation", "Subscription")
INTROSPECTION = frozenset({"__typename", "__schema", "__type"})


def refusal_of_body(body: bytes) -> str | None:
    """Why a POST with this body is refused; None if it is not."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return "the body is not JSON."
    return refusal_of_payload(asked, OperationType.QUERY)


def refusal_of_message(text: str) -> str | None:
    """Why a message of the websocket is refused; None if it is not."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return "the message is not JSON."
    if not isinstance(message, dict):
        return "the message is not an object."
    if message.get("type") != "start":
        return None
    return refusal_of_payload(message.get("payload"), OperationType.SUBSCRIPTION)


def id_of(text: str) -> str | None:
    """The operation that a message of the websocket is about."""
    try:
        found = json.loads(text)["id"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    return found if isinstance(found, str) else None


def refusal_of_payload(payload: Any, kind: OperationType) -> str | None:
    """Why a GraphQL request is refused; None if it has operations of this kind alone, on open fields."""
    query = payload.get("query") if isinstance(payload, dict) else None
    if not isinstance(query, str):
        return "there is no GraphQL query in it."
    try:
        document = parse(query, max_tokens=MOST_TOKENS, no_location=True)
        fields = _Fields()
        visit(document, fields)
    except (GraphQLError, RecursionError):
        return "the GraphQL query cannot be read, or is too long."
    if fields.kinds != {kind}:
        return f"this server only reads: {kind.value} is the one kind of operation here."
    opened = OPEN if kind is OperationType.QUERY else SUBSCRIPTIONS
    closed = sorted(_closed(fields, opened | INTROSPECTION))
    return f"this server shows no logs and no configuration: {', '.join(closed)[:200]}." if closed else None


class _Fields(Visitor):
    """Collects the kinds of operations, the fields at their root, and all fields."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: set[OperationType] = set()
        self.at_root: set[str] = set()
        self.anywhere: set[str] = set()

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        self.kinds.add(node.operation)

    def enter_field(self, node: FieldNode, _key: Any, _parent: Any, _path: Any, ancestors: list[Any]) -> None:
        self.anywhere.add(node.name.value)
        if not any(isinstance(ancestor, FieldNode) for ancestor in ancestors) and any(map(_is_root, ancestors)):
            self.at_root.add(node.name.value)


def _is_root(node: Any) -> bool:
    """Whether fields directly in this node are fields of the schema's root: of an operation, or a fragment on it."""
    if isinstance(node, FragmentDefinitionNode):
        return node.type_condition.name.value in ROOT_TYPES
    return isinstance(node, OperationDefinitionNode)


def _closed(fields: _Fields, opened: frozenset[str]) -> Iterator[str]:
    """Names that may not be asked for."""
    yield from fields.at_root - opened
    yield from fields.anywhere & CLOSED_ANYWHERE
