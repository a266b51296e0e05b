"""The SQL that analysts may run: queries of the published tables, as read by Spark's own parser.

Everything that is not named here is refused, including statements of a later Spark.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from py4j.java_gateway import is_instance_of
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from batch_layer.lake.spark_messages import one_sentence
from batch_layer.published.published_names import (
    ForbiddenError,
    check_function,
    check_namespace,
    check_table,
    check_table_function,
)

_SPARK = "org.apache.spark.sql."
_OPERATORS = f"{_SPARK}catalyst.expressions."
"""Operators of the language itself: comparisons, CASE, CAST, literals. Functions are `UnresolvedFunction`."""

_PLANS = """
    Aggregate DescribeColumn DescribeRelation Distinct Except Filter Generate GlobalLimit Intersect Join LateralJoin
    LocalLimit LocalRelation Offset OneRowRelation Pivot Project RepartitionByExpression Sample SetCatalogAndNamespace
    ShowColumns ShowCreateTable ShowTables Sort SubqueryAlias Union UnresolvedHint UnresolvedWith Unpivot
    WithWindowDefinition"""
_NAMES = """
    CurrentNamespace NamedArgumentExpression NamedParameter PosParameter RelationTimeTravel UnresolvedAlias
    UnresolvedAttribute UnresolvedExtractValue UnresolvedFunction UnresolvedGenerator UnresolvedHaving
    UnresolvedInlineTable UnresolvedNamespace UnresolvedOrdinal UnresolvedRegex UnresolvedRelation UnresolvedStar
    UnresolvedStarExceptOrReplace UnresolvedSubqueryColumnAliases UnresolvedTableOrView
    UnresolvedTableValuedFunction"""
_COMMANDS = """
    DescribeQueryCommand ExplainCommand SetNamespaceCommand ShowCatalogsCommand ShowCurrentNamespaceCommand
    ShowNamespacesCommand"""
QUESTIONS = frozenset(
    f"{_SPARK}{package}.{name}"
    for package, names in (
        ("catalyst.plans.logical", _PLANS),
        ("catalyst.analysis", _NAMES),
        ("execution.command", _COMMANDS),
    )
    for name in names.split()
)
"""The nodes of a parsed statement that may occur."""
REMEMBERED_MAX, REMEMBERED_CHARACTERS_MAX = 256, 20_000
"""The allowed statements, and the longest text of one."""
OPEN = "SELECT, SHOW, DESCRIBE, EXPLAIN and USE are"


class SqlRules:
    """Checks texts of SQL before they run. Thread-safe.

    Every method raises ForbiddenError for anything that is not open to analysts, and for a text that Spark cannot
    parse. A verdict depends on the text alone, so allowed statements are cached by their text: a client sends the same
    one several times, and checking one can take a second.
    """

    def __init__(self, spark: SparkSession) -> None:
        self._parser: Any = spark._jsparkSession.sessionState().sqlParser()
        java: Any = spark._jvm
        self._gateway = spark.sparkContext._gateway
        self._judged_before = lru_cache(REMEMBERED_MAX)(self._judge)
        self._listed: Callable[[Any], Any] = java.scala.jdk.javaapi.CollectionConverters.asJava

    def check_statement(self, text: str) -> None:
        """Check a whole statement."""
        if len(text) <= REMEMBERED_CHARACTERS_MAX:
            self._judged_before(text)
        else:
            self._judge(text)

    def check_expression(self, text: str) -> None:
        """Check an expression, including its subqueries."""
        self._check(self._parsed(self._parser.parseExpression, text))

    def check_table(self, text: str) -> None:
        """Check the name of a table."""
        check_table(self._parts(text))

    def check_namespace(self, text: str) -> None:
        """Check the name of a namespace."""
        check_namespace(self._parts(text))

    def _judge(self, text: str) -> None:
        self._check(self._parsed(self._parser.parsePlan, text))

    def _parts(self, text: str) -> list[str]:
        return list(self._listed(self._parsed(self._parser.parseMultipartIdentifier, text)))

    @staticmethod
    def _parsed(parse: Callable[[str], Any], text: str) -> Any:
        try:
            return parse(text)
        except PySparkException as error:
            raise ForbiddenError(f"the SQL cannot be read: {one_sentence(str(error))}") from error

    def _check(self, root: Any) -> None:
        waiting = [root]
        while waiting:
            node = waiting.pop()
            name = str(node.getClass().getName()).split("$")[0]
            if name not in QUESTIONS and not name.startswith(_OPERATORS):
                raise ForbiddenError(f"{_short(name)} is not open to analysts; {OPEN}")
            self._check_names(_short(name), node)
            waiting += self._below(_short(name), node)

    def _check_names(self, name: str, node: Any) -> None:
        if name == "UnresolvedRelation":
            check_table(list(self._listed(node.multipartIdentifier())))
            if node.isStreaming() or not node.options().isEmpty():
                raise ForbiddenError("a table with options or as a stream is not open to analysts")
        elif name == "UnresolvedTableOrView":
            check_table(list(self._listed(node.multipartIdentifier())))
        elif name == "UnresolvedNamespace":
            check_namespace(list(self._listed(node.multipartIdentifier())))
        elif name == "SetNamespaceCommand":
            check_namespace(list(self._listed(node.namespace())))
        elif name == "UnresolvedFunction":
            check_function(list(self._listed(node.nameParts())))
        elif name == "UnresolvedGenerator":
            check_function([str(node.name().unquotedString())])
        elif name == "UnresolvedTableValuedFunction":
            check_table_function(list(self._listed(node.name())))

    def _below(self, name: str, node: Any) -> Iterator[Any]:
        # the contents of these are not among their children
        if name == "ExplainCommand":
            yield node.logicalPlan()
        elif name == "DescribeQueryCommand":
            yield node.plan()
        elif name == "RelationTimeTravel":
            yield node.relation()
        elif name == "UnresolvedWith":
            yield from self._listed(node.innerChildren())
        yield from self._listed(node.children())
        if self._is_a(node, f"{_SPARK}catalyst.plans.QueryPlan"):
            yield from self._listed(node.expressions())
        elif self._is_a(node, f"{_OPERATORS}PlanExpression"):
            yield node.plan()

    def _is_a(self, node: Any, name: str) -> bool:
        return bool(is_instance_of(self._gateway, node, name))


def _short(name: str) -> str:
    return name.rpartition(".")[2]
