-- One statement a line: what analysts may ask.
select 1
select count(*) from events
with a as (select * from v1.events) select count(*), (select max(views) from current.views_by_video) from a join published.v2.events b on a.x=b.x where exists (select 1 from events) and u in (select v from q)
with recursive t(n) as (select 1 union all select n+1 from t where n<5) select * from t
select * from t version as of 'v3'
select * from t timestamp as of '2026-01-01'
explain select * from t
explain extended select * from t
show tables in v1
show tables
show tables like 'e*'
show namespaces in published
show namespaces
show databases
show catalogs
describe table extended t
describe t
describe t a
describe query select 1
show create table t
show columns in t
show columns from t in v1
use v1
use published.v1
use namespace current
select current_database()
select * from range(3)
values (1,2),(3,4)
from t |> where x>1 |> select y
from t |> where x>1 |> extend y as z |> aggregate count(*) group by z |> order by z |> limit 3
select x from t lateral view explode(y) z as w
select x, r.code from t, lateral explode(reasons) as r
select explode(reasons) from events
table t
select * from a pivot (sum(x) for y in (1,2))
select * from a unpivot (v for n in (a,b))
select * from t tablesample (5 percent)
select * from t where x = :p
select * from t where x = ?
select sum(v) over (partition by a order by b rows between 3 preceding and current row) from t
select sum(v) over w from t window w as (partition by a)
select * except (a) from t
select a, count(*) from t group by all having count(*) > 2 order by all limit 3 offset 2
select a, count(*) from t group by rollup(a,b)
select a, b, count(*) from t group by grouping sets ((a),(b))
select a, b, count(*) from t group by cube(a,b)
select case when a then b else c end, cast(x as string), x::int, try_cast(x as int), date '2026-01-01' + interval 1 day, a between 1 and 2, a like 'x%', a rlike 'b', a is null, not b, a || b, -a, a % b, a[0], a.b.c, struct(1 as x), array(1,2), map(1,2), extract(day from d), position('a' in 'b'), trim(both 'x' from y), substring(a from 1 for 2), transform(arr, x -> x+1), filter(arr, x -> x>1), listagg(a, ',') within group (order by a), percentile_cont(0.5) within group (order by a), count(distinct a) filter (where b), any_value(a), date_trunc('day', x), current_date, current_timestamp, a <=> b, a in (1,2), overlay('a' placing 'b' from 1), timestampadd(day, 1, x), datediff(day, x, y), if(a,b,c), coalesce(a,b), a:b from t
select * from t union all select * from u except select * from w intersect select * from z
select distinct a from t
select /*+ broadcast(t) */ * from t
select * from t natural join u
select * from t left anti join u using (a)
select * from t cross join lateral (select t.a) x
(select 1) union (select 2)
select * from (select 1) as x(a)
select * from values (1, 'a'), (2, 'b') as t(a, b)
select * from values (1, current_date()) as t(a, b)
select max_by(a, b) from t
select json_tuple(a, 'b') from t
select * from t order by a desc nulls last
select * from t sort by a
select * from t distribute by a
select * from t cluster by a
