"""The requests of Spark Connect that analysts may make: queries of the published tables by SQL or DataFrame.

A request is walked completely. A kind of message, a catalogue call or a setting that is not named here is refused, so
that user code, files, writes and additions of a later Spark stay closed.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Protocol

from google.protobuf.message import Message

from batch_layer.published.published_names import CATALOG, ForbiddenError, check_function, check_table_function

_RELATIONS = """
    Aggregate Aggregate.GroupingSets Aggregate.Pivot AsOfJoin Catalog Deduplicate Drop Filter Hint HtmlString Join
    Join.JoinDataType LateralJoin Limit LocalRelation NADrop NAFill NAReplace NAReplace.Replacement Offset Project
    Range Read Read.NamedTable Relation RelationCommon Repartition RepartitionByExpression SQL Sample SetOperation
    ShowString Sort StatApproxQuantile StatCorr StatCov StatCrosstab StatDescribe StatFreqItems StatSampleBy
    StatSampleBy.Fraction StatSummary SubqueryAlias Tail ToDF ToSchema Transpose Unpivot Unpivot.Values
    UnresolvedTableValuedFunction WithColumns WithColumnsRenamed WithColumnsRenamed.Rename WithRelations"""
_EXPRESSIONS = """
    CallFunction Expression Expression.Alias Expression.Cast Expression.ExpressionString Expression.LambdaFunction
    Expression.SortOrder Expression.UnresolvedAttribute Expression.UnresolvedExtractValue
    Expression.UnresolvedFunction Expression.UnresolvedNamedLambdaVariable Expression.UnresolvedRegex
    Expression.UnresolvedStar Expression.UpdateFields Expression.Window Expression.Window.WindowFrame
    Expression.Window.WindowFrame.FrameBoundary ExpressionCommon NamedArgumentExpression Origin PythonOrigin
    SubqueryExpression SubqueryExpression.TableArgOptions"""
_CATALOGUE_CALLS = """
    CurrentCatalog CurrentDatabase DatabaseExists DropTempView GetDatabase GetTable ListCatalogs ListColumns
    ListDatabases ListTables SetCurrentCatalog SetCurrentDatabase TableExists"""
_REQUESTS = """
    AnalyzePlanRequest AnalyzePlanRequest.DDLParse AnalyzePlanRequest.Explain AnalyzePlanRequest.IsLocal
    AnalyzePlanRequest.IsStreaming AnalyzePlanRequest.SameSemantics AnalyzePlanRequest.Schema
    AnalyzePlanRequest.SemanticHash AnalyzePlanRequest.SparkVersion AnalyzePlanRequest.TreeString Command
    ConfigRequest ConfigRequest.Get ConfigRequest.GetOption ConfigRequest.GetWithDefault ConfigRequest.IsModifiable
    ConfigRequest.Operation ConfigRequest.Set ConfigRequest.Unset CreateDataFrameViewCommand ExecutePlanRequest
    ExecutePlanRequest.RequestOption KeyValue Plan ReattachOptions ResultChunkingOptions SqlCommand UserContext"""
ALLOWED = frozenset(
    f"spark.connect.{name}"
    for names in (_RELATIONS, _EXPRESSIONS, _CATALOGUE_CALLS, _REQUESTS)
    for name in names.split()
)
_WHOLE = ("spark.connect.Expression.Literal", "spark.connect.DataType")
"""Values and types: everything below them is allowed, except a class name."""

READABLE_SETTINGS = re.compile(r"spark\.(sql|connect\.session)\.(?!catalog\.)[\w.]+", re.ASCII)
SETTABLE = re.compile(
    r"spark\.sql\.(session\.timeZone|shuffle\.partitions|ansi\.enabled|repl\.eagerEval\.\w+"
    r"|execution\.(arrow|pandas)\.\w+(\.\w+)*)",
    re.ASCII,
)


class StatementRules(Protocol):
    """Checks texts of SQL; see `spark_sql_rules.SqlRules`."""

    def check_statement(self, text: str) -> None:
        """Raise ForbiddenError for a statement that is not open to analysts."""

    def check_expression(self, text: str) -> None:
        """Raise ForbiddenError for an expression that is not open to analysts."""

    def check_table(self, text: str) -> None:
        """Raise ForbiddenError for a table name that is not open to analysts."""

    def check_namespace(self, text: str) -> None:
        """Raise ForbiddenError for a namespace that is not open to analysts."""


class ConnectRules:
    """Checks whole requests. Thread-safe."""

    def __init__(self, statements: StatementRules) -> None:
        self._checks: dict[str, Callable[[Any], None]] = {
            "SQL": lambda sql: statements.check_statement(sql.query),
            "SqlCommand": lambda command: _check_text(statements, command),
            "Expression.ExpressionString": lambda each: statements.check_expression(each.expression),
            "Expression.UnresolvedFunction": _check_function,
            "CallFunction": lambda call: check_function(_parts(call.function_name)),
            "UnresolvedTableValuedFunction": lambda call: check_table_function([call.function_name]),
            "Read": _check_read,
            "Read.NamedTable": lambda table: statements.check_table(table.unparsed_identifier),
            "CreateDataFrameViewCommand": _check_view,
            "DataType.UDT": _refuse,
            "LocalRelation": _check_local,
            "ConfigRequest.Set": lambda each: _check_settings([pair.key for pair in each.pairs], SETTABLE, "changed"),
            "ConfigRequest.Unset": lambda each: _check_settings(each.keys, SETTABLE, "changed"),
            "ConfigRequest.Get": lambda each: _check_settings(each.keys, READABLE_SETTINGS, "read"),
            "ConfigRequest.GetOption": lambda each: _check_settings(each.keys, READABLE_SETTINGS, "read"),
            "ConfigRequest.GetWithDefault": lambda each: _check_settings(
                [pair.key for pair in each.pairs], READABLE_SETTINGS, "read"
            ),
            "SetCurrentCatalog": _check_catalog,
            "SetCurrentDatabase": lambda call: statements.check_namespace(call.db_name),
        }
        for name in ("DatabaseExists", "GetDatabase", "ListTables"):
            self._checks[name] = lambda call: _check_database(statements, call)
        for name in ("GetTable", "ListColumns", "TableExists"):
            self._checks[name] = lambda call: _check_named(statements, call)

    def check(self, request: Message) -> None:
        """Return if the request is allowed, or raise ForbiddenError with one sentence."""
        waiting = [request]
        while waiting:
            message = waiting.pop()
            name = message.DESCRIPTOR.full_name
            if name not in ALLOWED and not _is_value(name):
                raise ForbiddenError(f"{name.rpartition('.')[2]} is not open to analysts, who may only query")
            self._checks.get(name.removeprefix("spark.connect."), _allow)(message)
            waiting += _below(message)


def _below(message: Message) -> list[Message]:
    found: list[Message] = []
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                found += value.values()
        else:
            found += value if field.is_repeated else [value]
    return found


def _is_value(name: str) -> bool:
    return name.startswith(tuple(f"{whole}." for whole in _WHOLE)) or name in _WHOLE


def _parts(name: str) -> list[str]:
    return [name] if not re.fullmatch(r"[\w.]+", name, re.ASCII) else name.split(".")


def _allow(_message: Any) -> None:
    return


def _refuse(message: Any) -> None:
    raise ForbiddenError(f"{message.DESCRIPTOR.name} is not open to analysts, who may only query")


def _check_text(statements: StatementRules, command: Any) -> None:
    if command.sql:  # a newer client sends the text in `input`, which is walked like everything
        statements.check_statement(command.sql)


def _check_function(function: Any) -> None:
    if function.is_user_defined_function or function.is_internal:
        raise ForbiddenError(f"the function {function.function_name[:80]} is not open to analysts")
    check_function(_parts(function.function_name))


def _check_read(read: Any) -> None:
    if read.is_streaming or (read.HasField("named_table") and read.named_table.options):
        raise ForbiddenError("a table with options or as a stream is not open to analysts; use VERSION AS OF in SQL")


def _check_local(relation: Any) -> None:
    try:
        is_class_named = '"type": "udt"' in json.dumps(json.loads(relation.schema or "{}"))
    except ValueError:
        return  # a schema as DDL, which has no such types
    if is_class_named:
        raise ForbiddenError("a type of the user's own is not open to analysts")


def _check_view(command: Any) -> None:
    if command.is_global:
        raise ForbiddenError("a global view is not open to analysts; a session's own is")


def _check_settings(keys: Any, allowed: "re.Pattern[str]", verb: str) -> None:
    for key in keys:
        if not allowed.fullmatch(key):
            raise ForbiddenError(f"the setting {key[:120]} cannot be {verb} by analysts")


def _check_catalog(call: Any) -> None:
    if call.catalog_name != CATALOG:
        raise ForbiddenError(f"the catalogue of analysts is {CATALOG}")


def _check_database(statements: StatementRules, call: Any) -> None:
    if call.db_name:
        statements.check_namespace(call.db_name)


def _check_named(statements: StatementRules, call: Any) -> None:
    if call.HasField("db_name"):
        statements.check_namespace(call.db_name)
    statements.check_table(call.table_name)
