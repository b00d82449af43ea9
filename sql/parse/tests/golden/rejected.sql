select 1 +
select (1
select 1)
selec 1
select * from
select * from t where
select a b c
select 'abc
select "abc
select ""
select $$abc
select /* comment
select 123abc
select $1a
select 1.5e
select a from t order
select a from t order by
select a from t limit
select a from t group a
select from where
insert into
insert into t values
insert into t (a values (1)
insert t values (1)
update t
update t set
update t set a
update t set a = 1 where
delete t
delete from t where
create table
create table t
create table t (
create table t (a)
create table t (a int,)
create table t (a int primary)
create table t (a int not nul)
create index on
create unique t
create view v
alter table t add
alter table t alter a foo
alter table t rename
drop
drop table
drop foo
truncate
begin foo
commit and
savepoint
rollback to
set
set a
set a to
show
copy t
copy t from
copy t from stdin with
copy t to stdin foo
prepare x
execute
declare c cursor
fetch
explain
explain foo
vacuum (
grant
select case end
select case when 1 then
select a in ()
select a between 1
select not
select a is
select a is foo
select cast(1 int)
select cast(1 as)
select array[1,
select row(1,
select extract(year 1)
select a::
select 1::int int
select * from (select 1
select * from (select 1)
select * from (values (1))
select * from t join u
select * from t join u on
select * from t left u
select * from t natural u
select 1 union
select 1 union all from
with a as (select 1)
with a select 1
select * from t for
select * from t for update of
select a < b < c
select a = b = c
select a like b like c
select a is null is null
select 1 = any
select sum(a) over
select sum(a) over (partition a)
select sum(a) filter (a)
select count(distinct)
select f(a => 1, b)
select f(variadic a, b)
select user()
select table
select limit
select select
values
values (1,)
values ()
(select 1
select é ? from
select 'é' é é
lock table
select U&'\00'
select U&'a' uescape 'ab'
select interval
select date
select "a" "b" "c"
select *.a
select a from t fetch first 2
select a from t fetch first 2 rows
select a from t limit 1, 2
select a from t limit 1 limit 2
select a from t offset 1 offset 2
create table t (a int check)
create table t (a int references)
create table t (a int default)
create table t (primary key)
create table t (foreign key (a))
create sequence
create sequence s increment
create role
create schema
comment on
comment on table t
comment on table t is
discard
listen
notify
close
deallocate
select 1;; select
select 1; selec 2
select a from t t2 t3
select into from
select a as from t
select all
select distinct
select U&'\D800'
select U&'\D800\0041'
select U&'ä\D800x'
select U&'\DC00'
select U&'ab\D83D\DE00\D800'
select U&'\+00D83D\DE00'
select U&'\+110000'
select U&'\0000'
select U&'a\00'
select U&'!D800' uescape '!'
select U&'!!D800' uescape '!'
select U&'!D800!!' uescape '!'
select 1 as U&"a\D800b"
select U&"\D83D\DE00" from t, (
select E'\uD800'
select E'äb\uD800x'
select E'\uD800\n'
select E'\uDC00'
select E'\uD83D\uDE00'
select E'\uD83D\\'
select E'\uD83D'''
select E'a\u0000'
select E'\uD800\u0041'
select E'\U0000D83D\U0000DE00'
select E'\U00110000'
select U&'a' uescape 'ab'
select U&'a' uescape +
