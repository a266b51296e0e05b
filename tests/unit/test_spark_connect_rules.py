"""Which requests of Spark Connect pass the door; the texts of SQL in them are judged by Spark's parser elsewhere."""

from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from pyspark.sql.connect.proto import base_pb2, catalog_pb2, commands_pb2, expressions_pb2, relations_pb2

from batch_layer.published.published_names import ForbiddenError
from batch_layer.published.spark_connect_guard import JUDGED, PASSED
from batch_layer.published.spark_connect_rules import ALLOWED, ConnectRules


class Statements:
    """The port `StatementRules`: remembers what it was asked, and refuses what is named `secret`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def _judge(self, kind: str, text: str) -> None:
        self.asked.append((kind, text))
        if "secret" in text:
            raise ForbiddenError(f"{kind} {text}")

    def check_statement(self, text: str) -> None:
        self._judge("statement", text)

    def check_expression(self, text: str) -> None:
        self._judge("expression", text)

    def check_table(self, text: str) -> None:
        self._judge("table", text)

    def check_namespace(self, text: str) -> None:
        self._judge("namespace", text)


def relation(**fields: Any) -> relations_pb2.Relation:
    return relations_pb2.Relation(**fields)


def table(name: str, **options: str) -> relations_pb2.Relation:
    return relation(read=relations_pb2.Read(named_table={"unparsed_identifier": name, "options": options}))


def query(root: relations_pb2.Relation) -> base_pb2.ExecutePlanRequest:
    return base_pb2.ExecutePlanRequest(session_id="s", plan=base_pb2.Plan(root=root))


def command(**fields: Any) -> base_pb2.ExecutePlanRequest:
    return base_pb2.ExecutePlanRequest(plan=base_pb2.Plan(command=commands_pb2.Command(**fields)))


def expression(**fields: Any) -> expressions_pb2.Expression:
    return expressions_pb2.Expression(**fields)


def filtered(condition: expressions_pb2.Expression) -> base_pb2.ExecutePlanRequest:
    return query(relation(filter=relations_pb2.Filter(input=table("events"), condition=condition)))


def asked_by(request: Any) -> list[tuple[str, str]]:
    statements = Statements()
    ConnectRules(statements).check(request)
    return statements.asked


def refusal_of(request: Any) -> str:
    with pytest.raises(ForbiddenError) as caught:
        ConnectRules(Statements()).check(request)
    return str(caught.value)


def test_every_name_that_is_allowed_exists_in_this_spark() -> None:
    found: set[str] = set()

    def add(descriptor: Descriptor) -> None:
        found.add(descriptor.full_name)
        for nested in descriptor.nested_types:
            add(nested)

    for file in (base_pb2, catalog_pb2, commands_pb2, expressions_pb2, relations_pb2):
        for descriptor in file.DESCRIPTOR.message_types_by_name.values():
            add(descriptor)
        for dependency in file.DESCRIPTOR.dependencies:
            for descriptor in dependency.message_types_by_name.values():
                add(descriptor)
    assert found >= ALLOWED


def test_a_table_and_everything_built_on_it_pass_and_its_name_is_judged() -> None:
    joined = relation(join=relations_pb2.Join(left=table("events"), right=table("v1.tally")))
    limited = relation(limit=relations_pb2.Limit(input=joined, limit=3))
    assert sorted(asked_by(query(limited))) == [("table", "events"), ("table", "v1.tally")]


def test_a_forbidden_table_is_found_however_deep_it_lies() -> None:
    root = table("secret")
    for _ in range(40):
        root = relation(limit=relations_pb2.Limit(input=root, limit=3))
    assert refusal_of(query(root)) == "table secret"
    view = commands_pb2.CreateDataFrameViewCommand(input=root, name="mine")
    assert refusal_of(command(create_dataframe_view=view)) == "table secret"
    analysed = base_pb2.AnalyzePlanRequest(schema={"plan": {"root": root}})
    assert refusal_of(analysed) == "table secret"


def test_sql_is_judged_wherever_it_is_text() -> None:
    sql = relation(sql=relations_pb2.SQL(query="select secret"))
    assert refusal_of(query(sql)) == "statement select secret"
    assert refusal_of(command(sql_command={"sql": "select secret"})) == "statement select secret"
    assert refusal_of(command(sql_command={"input": sql})) == "statement select secret"
    text = expression(expression_string={"expression": "secret(1)"})
    assert refusal_of(filtered(text)) == "expression secret(1)"
    hidden = relations_pb2.SQL(query="select :a", named_arguments={"a": text})
    assert refusal_of(query(relation(sql=hidden))) == "expression secret(1)"


RELATIONS = {field.name for field in relations_pb2.Relation.DESCRIPTOR.fields}
CLOSED_RELATIONS = {
    "map_partitions", "parse", "group_map", "co_group_map", "with_watermark", "apply_in_pandas_with_state",
    "cached_local_relation", "cached_remote_relation", "common_inline_user_defined_table_function", "extension",
    "common_inline_user_defined_data_source", "chunked_cached_local_relation", "collect_metrics", "ml_relation",
    "unknown",
}  # fmt: skip
COMMANDS = {field.name for field in commands_pb2.Command.DESCRIPTOR.fields}
CATALOGUE_CALLS = {field.name for field in catalog_pb2.Catalog.DESCRIPTOR.fields}
CLOSED_CALLS = {
    "list_functions", "get_function", "function_exists", "create_external_table", "create_table",
    "drop_global_temp_view", "recover_partitions", "is_cached", "cache_table", "uncache_table", "clear_cache",
    "refresh_table", "refresh_by_path",
}  # fmt: skip


def with_only(message: Any, field: str) -> Any:
    getattr(message, field).SetInParent()
    return message


@pytest.mark.parametrize("name", sorted(CLOSED_RELATIONS))
def test_a_relation_that_runs_code_or_reads_elsewhere_is_refused(name: str) -> None:
    assert "open to analysts" in refusal_of(query(with_only(relations_pb2.Relation(), name)))


def test_every_other_relation_of_this_spark_passes() -> None:
    harmless = RELATIONS - CLOSED_RELATIONS - {"unresolved_table_valued_function", "read"}
    for name in harmless:
        ConnectRules(Statements()).check(query(with_only(relations_pb2.Relation(), name)))
    assert len(harmless) > 40


@pytest.mark.parametrize("name", sorted(COMMANDS - {"sql_command", "create_dataframe_view"}))
def test_a_command_that_does_anything_but_query_is_refused(name: str) -> None:
    assert "who may only query" in refusal_of(
        base_pb2.ExecutePlanRequest(plan={"command": with_only(commands_pb2.Command(), name)})
    )


@pytest.mark.parametrize("name", sorted(CATALOGUE_CALLS))
def test_only_the_calls_that_list_and_describe_pass(name: str) -> None:
    catalog = with_only(catalog_pb2.Catalog(), name)
    if name == "set_current_catalog":
        catalog.set_current_catalog.catalog_name = "published"
    request = query(relation(catalog=catalog))
    if name in CLOSED_CALLS:
        assert "who may only query" in refusal_of(request)
    else:
        ConnectRules(Statements()).check(request)


def test_files_and_other_catalogues_are_refused() -> None:
    source = relations_pb2.Read(data_source={"format": "parquet", "paths": ["hdfs://names/warehouse"]})
    assert "DataSource is not open" in refusal_of(query(relation(read=source)))
    stream = relations_pb2.Read(named_table={"unparsed_identifier": "events"}, is_streaming=True)
    assert "as a stream" in refusal_of(query(relation(read=stream)))
    assert "with options" in refusal_of(query(table("events", branch="run_1")))
    other = catalog_pb2.Catalog(set_current_catalog={"catalog_name": "ledger"})
    assert refusal_of(query(relation(catalog=other))) == "the catalogue of analysts is published"


def test_code_of_the_users_own_is_refused() -> None:
    udf = expression(common_inline_user_defined_function={"function_name": "f"})
    assert "CommonInlineUserDefinedFunction" in refusal_of(filtered(udf))
    type_of_theirs = expression(cast={"type": {"udt": {"type": "udt", "jvm_class": "a.B"}}})
    assert "UDT" in refusal_of(filtered(type_of_theirs))
    rows = relations_pb2.LocalRelation(schema='{"type":"struct","fields":[{"type":{"type":"\\u0075dt"}}]}')
    assert "a type of the user's own" in refusal_of(query(relation(local_relation=rows)))
    extension = base_pb2.ExecutePlanRequest(user_context={"extensions": [{"type_url": "x"}]})
    assert "Any is not open" in refusal_of(extension)


def test_a_compressed_plan_is_refused_because_it_cannot_be_read() -> None:
    packed = base_pb2.Plan(compressed_operation={"data": b"x"})
    assert "who may only query" in refusal_of(base_pb2.ExecutePlanRequest(plan=packed))


@pytest.mark.parametrize(
    "name", ["reflect", "REFLECT", "java_method", "try_reflect", "from_protobuf", "a.b", "", "`a`"]
)
def test_functions_that_reach_outside_are_refused(name: str) -> None:
    called = expression(unresolved_function={"function_name": name})
    assert "is not open to analysts" in refusal_of(filtered(called))
    assert "is not open to analysts" in refusal_of(filtered(expression(call_function={"function_name": name})))


def test_functions_of_spark_pass() -> None:
    for name in ("count", "+", "<=>", "date_trunc", "and"):
        assert asked_by(filtered(expression(unresolved_function={"function_name": name}))) == [("table", "events")]


@pytest.mark.parametrize(
    "key",
    [
        "spark.sql.catalog.x",
        "spark.sql.defaultCatalog",
        "spark.sql.runSQLOnFiles",
        "spark.jars",
        "spark.sql.extensions",
    ],
)
def test_a_setting_that_opens_something_cannot_be_changed(key: str) -> None:
    change = base_pb2.ConfigRequest(operation={"set": {"pairs": [{"key": key, "value": "x"}]}})
    assert refusal_of(change) == f"the setting {key} cannot be changed by analysts"
    assert "cannot be changed" in refusal_of(base_pb2.ConfigRequest(operation={"unset": {"keys": [key]}}))


@pytest.mark.parametrize("key", ["spark.connect.authenticate.token", "spark.sql.catalog.published.uri", "spark.driver"])
def test_a_setting_that_may_be_secret_cannot_be_read(key: str) -> None:
    for operation in ({"get": {"keys": [key]}}, {"get_option": {"keys": [key]}}):
        assert "cannot be read" in refusal_of(base_pb2.ConfigRequest(operation=operation))
    pairs = {"get_with_default": {"pairs": [{"key": key, "value": "x"}]}}
    assert "cannot be read" in refusal_of(base_pb2.ConfigRequest(operation=pairs))
    assert "GetAll is not open" in refusal_of(base_pb2.ConfigRequest(operation={"get_all": {}}))


def test_the_session_time_zone_can_be_changed() -> None:
    pair = {"key": "spark.sql.session.timeZone", "value": "Europe/Berlin"}
    assert asked_by(base_pb2.ConfigRequest(operation={"set": {"pairs": [pair]}})) == []


def test_every_method_of_the_service_is_judged_carries_only_ids_or_is_refused() -> None:
    methods = {method.name for method in base_pb2.DESCRIPTOR.services_by_name["SparkConnectService"].methods}
    assert methods - set(JUDGED) - set(PASSED) == {"AddArtifacts", "CloneSession"}
