-- names and literals
select 1
select 1, 'a', null, true, 1.5, 10000000000, 1e3, -5, - 2147483648
select 'a'::text, '1'::int, cast('2' as bigint), date '2020-01-01', interval '1 day', timestamp with time zone '2020-01-01 00:00:00+00'
select 1 as one, 2 two, 3 as "Three"
select a, b, c, d, e from t
select * from t
select t.* from t
select x.* from t x
select x.*, x.a from t as x (one, two)
select t.a + 1, a * 2.5, a / 2, -a, a % 3 from t
select "Id", "select" from "Mixed"
select golden.t.a from golden.t
select count(*), count(a), sum(a), sum(c), avg(a), min(b), max(d) from t
select sum(i2), sum(i4), sum(i8), sum(f4), sum(f8), sum(n), avg(i8), avg(f4) from many
select i2 + i4, i4 + i8, i2 + i2, f4 + f8, n + i4, i4 + f8, i8 * n, i2 / i2 from many
select i4 + 1.0, i8 + 1, i2 + 1, f4 + 1, n + 1 from many
select t || v, t || 'x', 'x' || t, t || i4, ch || v from many
select d + 1, d - d, ts - ts, tz - tz, ts + iv, d + iv, d - 5, iv * 2, ti + iv, iv + iv from many
select i4 = 1, i8 = i4, t = v, ch = 'a', d > '2020-01-01', tz < ts, n >= 5, f8 <> 1 from many
select 1 = 1.0, 'a' = 'b', 'a' < 'b', null = null, 1 = '1'
select i4 between 1 and 2, i4 not between 1 and 2.5, i4 in (1, 2, 3), t in ('a', 'b'), i4 in (1, 2.5), i4 not in (1) from many
select t like 'a%', t not like 'b', t ilike 'x', v like 'x' escape '!', t similar to 'a+', t ~ 'x', t !~* 'y' from many
select case when bo then 1 else 2 end, case i4 when 1 then 'a' else 'b' end, case when bo then 1 end, case when bo then 1 else 2.5 end from many
select case when bo then t else v end, case when bo then i4::text else 'x' end as z, case when true then null end from many
select coalesce(a, 0), coalesce(null, 'a'), nullif(a, 1), greatest(a, 2.5), least(1, 2), coalesce(a, null) from t
select a is null, b is not null, (a = 1) is true, (a = 1) is not unknown, a is distinct from 2, not (a = 1) from t
select array[1,2,3], array['a','b'], array[1, 2.5], array[[1,2],[3,4]], array[]::int[], '{1,2}'::int[], array[null, 1]
select ia[1], ta[1], (array[1,2,3])[2] from many
select ia = '{1}', 1 = any(ia), 'a' = any(ta), i4 = any('{1,2}'), i4 = all(ia), t = any(array['a','b']) from many
select row(1, 'a'), (1, 2), row(1), row()
select (1, 2) = (3, 4), (1, 'a') < (2, 'b'), (1, 2) is null
select upper(b), lower(e), length(b), substr(b, 1, 2), substring(b from 1 for 2), position('a' in b), trim(b), trim(both 'x' from b), overlay(b placing 'x' from 1) from t
select substring(b, 2), left(b, 1), right(b, 1), replace(b, 'a', 'b'), concat(a, b, 1), concat_ws(',', a, b) from t
select extract(year from d), date_part('year', d), date_trunc('month', ts), age(ts, ts) from many
select ts at time zone 'UTC', tz at time zone 'UTC', now(), current_date, current_timestamp, localtimestamp, current_timestamp(2) from many
select current_user, session_user, user, current_database(), current_schema
select abs(i4), abs(n), round(n), round(n, 2), round(f8), ceil(f8), floor(n), sqrt(f8), power(2, 3), mod(i4, 2) from many
select i4::text, t::int, n::int, f8::numeric, n::numeric(10,2), t::varchar(3), t::char(2), 'abc'::char, i4::bool, i4::float from many
select v, ch, by, uu, j, iv from many
select v || v, upper(v), v::text, coalesce(v, 'x'), coalesce(v, t), case when bo then v else v end from many
select (select 1), (select a from t limit 1), (select count(*) as n from t), exists (select 1 from t), array(select a from t)
select a in (select a from u), a = any (select id from u), a not in (select 5), (a, b) in (select a, name from u) from t
select * from (select a, b as bb from t) s
select s.x, s.y from (select 1, 'a') as s (x, y)
select * from (values (1, 'a'), (2, 'b')) v
select * from (values (1, 'a'), (2.5, null)) v (x, y)
values (1, 'a'), (2, 'b')
values (1), (2.5), (null)
select * from t join u on t.a = u.a
select * from t join u using (a)
select * from t natural join u
select a, name, b from t left join u using (a)
select a from t full join u using (a)
select t.a, u.a from t right join u using (a)
select * from t cross join u
select * from t, u where t.a = u.a
select j.* from (t join u using (a)) as j
select * from t x join (u y join pair z on y.a = z.x) on x.a = y.a
select x.a, s.n from t x, lateral (select count(*) as n from u where u.a = x.a) s
select x.a, s.n from t x left join lateral (select u.name as n from u where u.a = x.a) s on true
select * from generate_series(1, 3)
select * from generate_series(1, 3) g
select * from generate_series(1, 3) as g (n)
select g, g.n, n from generate_series(1, 3) as g (n)
select * from generate_series(1, 3) with ordinality
select * from generate_series(1, 3) with ordinality as g (n, o)
select * from t, generate_series(1, t.a) g
select generate_series(1, 3), a from t
select generate_series(1, 3) as g order by g
select * from upper('x')
select * from upper('x') as up
select * from current_date d
select a, count(*) from t group by a
select a as k, count(*) from t group by k
select b, count(*) from t group by 1
select a, b, c from t group by a
select a + 1, count(*) from t group by a + 1
select a % 2 as m, sum(a) from t group by a % 2 having count(*) > 1 order by 2
select t.a, t.b, count(u.id) from t left join u on u.a = t.a group by t.a
select b, c, count(*) from t group by rollup (b, c)
select b, c, count(*) from t group by grouping sets ((b), (c), ())
select count(distinct a), count(*) filter (where a > 1), string_agg(b, ',' order by a), array_agg(a), bool_and(a > 1) from t
select row_number() over (order by a), sum(a) over (partition by b), rank() over w, lag(a) over w, lag(a, 1, 0) over w from t window w as (partition by b order by a)
select count(*) over (), sum(count(*)) over () from t group by b
select sum(a) over (order by a rows between 1 preceding and current row), avg(a) over (order by a range unbounded preceding) from t
select distinct b from t
select distinct on (b) b, a from t order by b, a
select distinct a, b from t order by a
select a from t order by b desc nulls last, 1
select a as x from t order by x + 0
select b as a from t order by a
select a from t limit 1 offset 2
select a from t limit all
select a from t fetch first 3 rows only
select a from t fetch first row only
select a from t offset 2 rows
select 1 union select 2
select 1 union all select 2.5
select 1, 'a' union select 2, 'b'
select 'a' union select 'b'
select null union select 1
select a from t union select id from u order by a limit 3
select a from t intersect select a from u
select a, b from t except select a, name from u
select e from t union select name from u
select c from t union all select c from t
select 1 union select 2 union all select 3
(select a from t order by b limit 1) union all (select a from t)
with x as (select 1 as n) select * from x
with x (m) as (select a from t), y as (select m + 1 as k from x) select * from x, y
with recursive r as (select 1 as n union all select n + 1 from r where n < 5) select * from r
with recursive r (n, s) as (select a, b from t union select a, 'x' from u) select * from r
with recursive f (a, b) as (values (0, 1) union all select b, a + b from f where b < 100) select a from f
with x as materialized (select a from t) select x.a from x order by 1
table t
select from t
select
select a from t for update
select a from t where a = 1 for no key update
select * from t x join u on x.a = u.a for share of x nowait
select x from t x
select count(x) from t x
select t.a from t where exists (select 1 from u where u.a = t.a and u.name = t.b)
select a, (select max(id) from u where u.a = t.a) as m from t
select b, (select max(id) from u where u.name = t.b) from t group by b
select '2020-01-01'::date + 1, '1 day'::interval * 2, '10:00'::time + '1 hour'
select 'x'::name, 'pg_class'::regclass, 'int4'::regtype
select 1::int2 + 1::int2, 1::bigint, 2147483648, -2147483648, 9223372036854775808
select $$dollar$$, E'\n', U&'\0061'
select date('2020-01-01'), text(1), int4(1.5), float8(1)
select pg_catalog.count(*) from pg_catalog.pg_class
select relname, oid from pg_class where relkind in ('r', 'v')
select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public'
select 5 as "limit", 6 as select
select a collate "C" from (select 'x' as a) s order by a collate "C"
select not true and false or true
select - - 1, + 1, ~ 5, @ -5
select 2 ^ 3, 2.0 ^ 3, 7 / 2, 7.0 / 2, 7 % 2
select 1 where false
select count(*) from (select 1) s
select all a from t
select tableoid from t
select pg_typeof(1), version()
select null || 'a', 'a' || null, 1 || 'a', null = 1
select interval '1' day, interval '1:30' hour to minute, interval '5 seconds' second(2), interval(3) '1.2345 s'
select a from t where a = '5' and c > '1.5' and d < 'today'
select min(t), max(v), min(ch), max(tz), sum(iv), avg(iv), min(ia) from many
select stddev(i4), variance(n), corr(f8, f8), every(bo), bit_and(i4) from many
select array_agg(b) from t
select ia || 4, 4 || ia, ia || ia, array_length(ia, 1), unnest(ia), array_append(ia, 5), array_to_string(ia, ',') from many
select * from unnest(array[1,2]) with ordinality
select (select count(*) from u where u.a = t.a) + 1 as n from t order by n
select a, sum(c) as s from t group by a having sum(c) > 5 order by s desc limit 5
select x.a, y.b from t x left join (select a, max(b) as b from t group by a) y on y.a = x.a
select case a when 1 then 'one' when 2 then 'two' end as w from t
select coalesce(sum(abalance), 0) from pgbench_accounts
select f.filler, f.aid from pgbench_accounts f where f.aid between 1 and 10
select i2::text || '-' || i8::text, format('%s', i4) from many
select random(), pi(), gen_random_uuid(), clock_timestamp()
select nextval('ident_id_seq'), currval('ident_id_seq'::regclass)
select has_table_privilege('t', 'select'), pg_table_is_visible(1), format_type(23, -1), obj_description(1, 'pg_class')
select 'now'::timestamp, 'epoch'::timestamptz, 'infinity'::date
select (t.a) from t
select (x).a, (x).* from t x
select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey) where i.indisprimary
select unnest(indkey), array_upper(indkey, 1), indkey[0] from pg_index
select c.relname, t.typname from pg_class c, pg_type t where c.reltype = t.oid and c.oid = 't'::regclass
select table_name, column_name, data_type from information_schema.columns where table_schema = 'public' order by ordinal_position
