insert into t values (1)
insert into t values (1, 'a', 2, '2020-01-01', 'x')
insert into t values (1, 2, 3, 4, 5, 6)
insert into t (a, b) values (1)
insert into t (a, b) values (1, 2, 3)
insert into t (a, a) values (1, 2)
insert into t (a, nothing) values (1, 2)
insert into nothing values (1)
insert into t (a) values ('x')
insert into t (a) values (true)
insert into t (d) values (5)
insert into t (b) values (5)
insert into t (a, e) values (1, default), (default, 'y')
insert into t default values
insert into t (a, b) select id, name from u
insert into t (a, b) select id from u
insert into t (a) select id, name from u
insert into t (a, b) select name, id from u
insert into t (d) select 5
insert into t (a, b) values (1, 'x') returning *
insert into t (a, b) values (1, 'x') returning a + 1, b as bb, t.c
insert into t as x (a) values (1) returning x.a
insert into t as x (a) values (1) returning t.a
insert into t (a) values (1) returning nothing
insert into t (a) values (1) returning count(*)
insert into t values (1, 'a'), (2)
insert into ident values (1, 'a')
insert into ident (v) values ('a') returning id
insert into ident values (default, 'a')
insert into ident overriding system value values (1, 'a')
insert into ident overriding user value values (1, 'a')
insert into ident select 1, 'a'
insert into byid values (1, 'a')
insert into t (a) values (1) on conflict do nothing
insert into t (a) values (1) on conflict (a) do nothing
insert into t (a) values (1) on conflict (b) do nothing
insert into t (a) values (1) on conflict (nothing) do nothing
insert into t (a) values (1) on conflict do update set b = 'x'
insert into t (a, b) values (1, 'x') on conflict (a) do update set b = excluded.b
insert into t (a, b) values (1, 'x') on conflict (a) do update set b = excluded.b || t.b where t.a > 1 returning a
insert into t (a, b) values (1, 'x') on conflict (a) do update set c = excluded.nothing
insert into t (a, b) values (1, 'x') on conflict (a) do update set c = 'x'
insert into t (a, b) values (1, 'x') on conflict on constraint t_pkey do nothing
insert into t (a, b) values (1, 'x') on conflict on constraint nothing do nothing
insert into pair values (1, 2, 'x') on conflict (y, x) do update set z = excluded.z
insert into pair values (1, 2, 'x') on conflict (x) do nothing
with s as (select 1 as n) insert into t (a) select n from s
update t set b = 'x'
update t set b = 5 where a = 1
update t set a = 'x'
update t set a = b
update t set a = true
update t set nothing = 1
update t set a = 1, a = 2
update t set (a, b) = (1, 'x')
update t set (a, b) = (1)
update t set (a, b) = (1, 'x', 2)
update t set (a, b) = row(1, 'x')
update t set (a, b) = (select id, name from u where u.a = t.a)
update t set (a, b) = (select 1)
update t set b = default, c = default
update t x set b = 'y' where x.a = 1 returning x.*
update t x set b = 'y' where t.a = 1
update t set b = u.name from u where u.a = t.a
update t set b = u.name from u where u.a = t.a returning t.a, u.id, name
update t set b = t2.b from t t2 where t2.a = t.a
update t set b = t.b from t
update t set a = sum(a)
update t set b = 'x' where count(*) > 1
update t set b = 'x' where a
update ident set id = 5
update ident set id = default
update nothing set a = 1
delete from t
delete from t where a = 1 returning *
delete from t x using u where x.a = u.a returning x.a, u.name
delete from t using u where a = 1
delete from t where nothing = 1
delete from nothing
delete from t where a = (select max(a) from u)
with d as (select a from u) delete from t using d where t.a = d.a
update pgbench_accounts set abalance = abalance + 5 where aid = 1
update t set c = 1.005, d = '2020-01-01', e = 5
update t set e = null
