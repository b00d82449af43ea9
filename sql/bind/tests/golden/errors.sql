select
select x
select a, x from t
select t.x from t
select x.a from t
select a from nothing
select a from golden.nothing
select a from nosuch.t
select b.a from t as c
select t.a from t as c
select a from t, u
select * from t join u on a = 1
select aa from t
select nam from u
select foo(1)
select foo(1, 'a')
select upper(1, 2)
select upper(a) from t
select 1 + 'a'
select 1 + true
select b + 1 from t
select b = 1 from t
select a = b from t
select true + 1
select 'abc'::int
select int 'abc'
select '2020-13-01'::date
select a::date from t
select cast(true as date)
select case when 1 then 2 end
select case when true then 1 else 'a' end
select case when true then 1 else b end from t
select coalesce(1, 'a')
select coalesce(a, b) from t
select 1 union select 'a'
select 1 union select 2, 3
select a from t union select b from t
values (1, 2), (3)
values (1), ('a')
select a from t where a
select a from t where b
select a from t where 1
select not 1
select a and true from t
select a from t limit b
select a from t limit a
select a from t limit 'x'
select count(*) from t where count(*) > 1
select sum(count(*)) from t
select sum(a) from t group by sum(a)
select b, count(*) from t
select b from t group by a + 1
select a, b from t group by b
select * from t group by b
select a + 1 from t group by a % 2
select a from t group by b having a > 1
select a from t group by b order by a
select count(*) from t order by a
select a from t having count(*) > 1
select a from t order by 5
select a from t order by 'x'
select a from t order by 1.5
select a from t group by 5
select a from t order by nothing
select a, b as a from t order by a
select distinct a from t order by b
select distinct on (a) a, b from t order by b
select row_number() from t
select a from t where row_number() over () = 1
select upper(b) over () from t
select upper(distinct b) from t
select sum(a) over w from t
select generate_series(1,2) from t where generate_series(1,2) = 1
select a from t where (select a, b from t) = 1
select (select 1, 2)
select a in (select a, b from t) from t
select (1, 2) = (1, 2, 3)
select 1 in (select 'a')
select * 
select t.* from u
select * from t t, u t
select * from t, t
select * from t join u using (b)
select * from t join u using (nothing)
select * from t x join t y using (a) where x.b = y.b and a = b
select * from t left join u on t.a = u.a for update
select distinct a from t for update
select a from t group by a for update
select count(*) from t for update
select a from t for update of u
select a from t union select 1 for update
select array[]
select array[1, 'a']
select array[1, true]
select a[1] from t
select 1 = any(1)
select a = any(b) from t
select 1 = any(array['a'])
select $1 + $2
select $0
select now(1)
select count()
select upper(*)
select foo(*)
select sum(*) from t
select max(true) from t
select sum(b) from t
select a.b.c.d.e from t
select nodb.golden.t.a from t
select 1::nosuchtype
select 1::int(4)
select 'a'::varchar(0)
select 1::numeric(2000)
select a from t where exists (select nothing from u)
select (select x from u) from t
select a from t natural join nothing
with x as (select 1), x as (select 2) select * from x
with x (a, b) as (select 1) select * from x
select * from (select 1) s (a, b)
select * from t as x (a, b, c, d, e, f)
with recursive r as (select 1 union all select 'a' from r) select * from r
with recursive r as (select n from r) select * from r
select * from x
select 1 from t where a = 'x'
select a from t where d = 'notadate'
select a ~~~ b from t
select @@ 1
select - 'a'
select -b from t
select 1 || 2
select a || a from t
select avg(b) from t
select 'nothing'::regclass
select 'nothing'::regtype
select lower(1)
select substr(1, 2)
select position(1 in 'a')
select extract(year from 1)
select default
select j = j from many
select j from many order by j
select distinct j from many
select j from many group by j
select j from many union select j from many
select min(j) from many
select 1 as a, 2 as b order by c
select a from t where t = 1
select nothing.* from t
select "A" from t
select ctid2 from t
select a from t where sum(a) > 0
select 1 limit -1 + 'x'
select sum(a) filter (where count(*) > 1) from t
select sum(a order by x) from t
select count(distinct j) from many
select string_agg(distinct b, ',' order by a) from t
select a from t order by sum(b)
select string_agg(a, ',') from t
select a from t where 1 + 1
select a, case when a > 1 then b || 'x' else a + 1 end from t
select coalesce(a + 1, b || 'x') from t
update t set a = b || 'x'
select 1 + 2 union select b || 'x' from t
select a from t where a + 1 = b
select x.a from t x join t y on x.a = y.a where a = 1
select a from t limit 1 + true
select (select a from t where b = u.nam) from u
select max(a, b) from t
select a from (select b from t) s
select s.a from (select b from t) s
select count(distinct) from t
select sum(distinct a, b) from t
select a from t group by 1, b, c having d > '2020-01-01'
select 1 in (1, 'a', true)
select 'a' in (1, 2)
select a in ('x', 'y') from t
select b in (1, 2) from t
select 1 between 'a' and 2
select null + null
select null || null
select 'a' + 'b'
select a from t where b like 5
select array[1,2] || 'x'
select greatest(1, 'x')
select nullif(a, 'x') from t
select nullif(a, b) from t
select cast(a as json) from t
select a::uuid from t
select '{1,x}'::int[]
select ia + 1 from many
select ia = ta from many
select i4 = any(ta) from many
select interval '1 day' + 1
select date '2020-01-01' + time '10:00' + 5
select now() + 1
select concat_ws(',', variadic 10)
select * from (select 1 into f) bar
select ia[1][2][3][4][5][6][7] from many
