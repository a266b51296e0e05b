-- One statement a line: what analysts may not ask, each a way around that was thought of.
select * from parquet.`hdfs://127.0.0.1/x`
select * from iceberg.`hdfs://x/metadata/v1.metadata.json`
select * from ledger.views.events
select * from ledger.views.events.branch_run_x
select * from published.current.events.snapshots
select * from events.snapshots
select * from global_temp.x
select * from spark_catalog.default.x
select * from text.`/etc/passwd`
select reflect('java.lang.System','getenv','X')
select try_reflect('java.lang.System','getenv','X')
select JAVA_METHOD('java.lang.System','getenv','X')
select system.builtin.reflect('java.lang.System','getenv','X')
select `reflect`('java.lang.System','getenv','X')
select * from v1.events where exists (select 1 from ledger.views.events)
select (select max(a) from ledger.views.events)
select 1 where 1 in (select a from ledger.views.events)
with a as (select * from ledger.views.events) select * from a
select * from identifier('ledger.views.events')
select identifier('reflect')('a')
select transform(a) using 'cat /etc/passwd' from t
set a=b
set
reset
set time zone 'UTC'
set catalog ledger
use ledger
use ledger.views
use namespace ledger.views
show tables in ledger.views
show namespaces in ledger
describe ledger.views.events
describe query select * from ledger.views.events
explain select * from ledger.views.events
explain insert into t select 1
show create table ledger.views.events
show columns in ledger.views.events
execute immediate 'select 1'
begin select 1; end
insert into t select 1
insert overwrite t select 1
insert overwrite directory '/tmp/x' using csv select 1
delete from t
update t set a=1
merge into t using u on t.a=u.a when matched then delete
truncate table t
drop table t
alter table t create branch x
create table x as select 1
create table x (a int)
create temporary view x using parquet options (path 'hdfs://x')
create temporary view x as select 1
create view x as select 1
create function f as 'x.Y'
create temporary function f() returns int return 1
drop view x
create namespace x
drop namespace x cascade
call published.system.expire_snapshots('t')
add jar '/tmp/x.jar'
add file '/tmp/x'
list jars
cache table t
uncache table t
clear cache
refresh table t
refresh '/tmp'
load data inpath '/x' into table t
analyze table t compute statistics
show functions
show tblproperties t
show partitions t
show views
describe function reflect
describe namespace ledger.views
comment on table t is 'x'
declare x int
set var x = 1
select * from stream(t)
select * from t with (`snapshot-id` = 3)
select * from read_files('x')
select * from python_worker_logs()
select 1; select 2
selec 1
select * from t version as of (select 1)
select * from t timestamp as of (select max(a) from ledger.views.events)
msck repair table t
show current schema in ledger
select * from published.ledger.views.events
select from_protobuf(a, 'b', '/etc/passwd')
select * from a.b.c.d
select * from ``.x
select published.system.iceberg_version()
repair table t
lock table t
dfs -ls /
!ls
show locks t
select * from ledger.views.events version as of 3
from ledger.views.events |> select a
from t |> where exists (select 1 from ledger.views.events)
from t |> union all (select * from ledger.views.events)
select * from t join ledger.views.events using (a)
select * from t, lateral (select * from ledger.views.events)
table ledger.views.events
select * from (values (1)) where (select count(*) from ledger.views.events) > 0
select sum(v) over (partition by (select max(a) from ledger.views.events)) from t
select * from t order by (select max(a) from ledger.views.events)
select * from t limit (select max(a) from ledger.views.events)
select explode((select a from ledger.views.events)) from t
select * from range((select max(a) from ledger.views.events))
values ((select max(a) from ledger.views.events))
select * from a pivot (sum(x) for y in (1,2)) where (select 1 from ledger.views.events) = 1
select case when (select 1 from ledger.views.events) = 1 then 2 end
select transform(array(1), x -> (select max(a) from ledger.views.events))
select count(*) filter (where exists (select 1 from ledger.views.events)) from t
select * from explode(table(ledger.views.events))
select a from t group by (select max(a) from ledger.views.events)
select a from t having (select max(a) from ledger.views.events) > 1
select /*+ broadcast(ledger.views.events) */ reflect('a','b') from t
select 1 as reflect, x.y.reflect('a')
alter session set x=1
create or replace temporary variable x = 1
select * except (a) from ledger.views.events
select transform(x.reflect) using 'y' from t
select * from `hdfs://127.0.0.1/warehouse/views/events/metadata/1.metadata.json`
select * from v1.`hdfs://127.0.0.1/x`
select * from `events.snapshots`
select * from `../v2/tables/events`
select from_xml(a, 'b int', map('rowValidationXSDPath', '/etc/passwd')) from t
select transform(array(1), x -> reflect('java.lang.System', 'getenv'))
select * from t where reflect('java.lang.System', 'getenv') = 1
describe v1.events.snapshots
select xpath_string('<!DOCTYPE a [<!ENTITY b SYSTEM "http://127.0.0.1:1/x">]><a>&b;</a>', 'a')
select xpath('<a/>', 'a')
select XPath_Boolean('<a/>', 'a')
select xpath_int('<a/>', 'a') + xpath_long('<a/>', 'a') + xpath_short('<a/>', 'a')
select xpath_double('<a/>', 'a') + xpath_float('<a/>', 'a') + xpath_number('<a/>', 'a')
select `xpath_string`('<a/>', 'a')
select builtin.xpath_string('<a/>', 'a')
select system.builtin.xpath_string('<a/>', 'a')
select transform(array('<a/>'), x -> xpath_string(x, 'a'))
select * from t where xpath_boolean(a, 'b')
select sum(xpath_int(a, 'b')) over () from t
select schema_of_xml('<a/>')
select schema_of_avro('{}')
select input_file_name() from t
select a_function_of_a_later_spark(a) from t
select * from python_worker_logs()
select * from a_table_function_of_a_later_spark(1)
