select $1::int
select $1 + 1
select 1 + $1
select a from t where a = $1
select a from t where $1 = a and b = $2 and c > $3
select a from t where b like $1
select a from t limit $1 offset $2
select coalesce($1, 1)
select coalesce(b, $1) from t
select case when $1 then 1 else 2 end
select a from t where a in ($1, $2)
select a from t where a = any($1)
select a from t where d between $1 and $2
select $1 || b from t
select upper($1)
select $1
select $1, $2
select $1 is null
select $1 union select 1
select 1 union select $1
select * from (values ($1, 1), (2, $2)) v
select a from t where a = $2
select $1::text || $1
select $1 = $1
select array[$1, 1]
select a + $1 from t
select abs($1)
select length($1)
select now() - $1
select d + $1 from many
select tz + $1 from many
insert into t (a, b) values ($1, $2)
insert into t values ($1, $2, $3, $4, $5)
insert into u (id, ts) select $1, $2
insert into u (id, ts) values ($1, now() - $2)
update t set b = $1, c = $2 where a = $3
update t set c = c + $1 where a = $2
delete from t where a = $1
update pgbench_accounts set abalance = abalance + $1 where aid = $2
select abalance from pgbench_accounts where aid = $1
insert into pgbench_history (tid, bid, aid, delta, mtime) values ($1, $2, $3, $4, current_timestamp)
select extract(year from $1::date)
select substring($1 from 2)
select a from t where (a, b) = ($1, $2)
select greatest($1, 2)
select nullif($1, 1)
select exists (select 1 from t where a = $1)
select sum($1::int)
select generate_series(1, $1)
select a from t order by $1
select $1::numeric(10,2)
