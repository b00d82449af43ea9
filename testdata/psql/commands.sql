-- psql's backslash commands on one schema that has something of each kind of relation.
create schema t_c;
set search_path = t_c;
create table parent (id int generated always as identity primary key, code text not null unique);
create table child (id serial primary key, parent_id int references parent on delete cascade, n int, d int generated always as (id * 2) stored,
  tags text[], note varchar(20) default 'x' not null, constraint n_small check (n < 100));
create index child_parent on child (parent_id) where n > 5;
create index child_lower on child (lower(note) desc);
create view seen as select id, note from child;
create materialized view kept as select count(*) as n from child;
create sequence counter increment 5 minvalue 10 maxvalue 1000 cycle;
create type mood as enum ('sad', 'ok');
create type pair as (a int, b mood, c varchar(5)[]);
create table generated (id int primary key, n int, m mood default 'ok', p pair, d int generated always as ((n + 1) * 2) stored,
  e text generated always as ('n' || (n is null)::int) stored, g date default current_date);
comment on type pair is 'the pair';
comment on column pair.a is 'its first';
comment on column seen.note is 'a note';
comment on schema t_c is 'the schema';
comment on table child is 'the child';
comment on column child.n is 'a number';
comment on index child_parent is 'the index';
comment on view seen is 'the view';
comment on sequence counter is 'the sequence';
comment on constraint n_small on child is 'the check';
\d t_c.*
\d+ child
\d+ parent
\d+ counter
\d generated
\d+ generated
\d pair
\d+ pair
\d pg_am
\d+ pg_am
\d+ seen
\d+ kept
\dt
\di
\dv
\dv+
\dm
\ds
\dE
\dn t_c
\dn+ t_c
\dp
\ddp
\dd
\dd n_small
\dP
\dX
\dy
\des
\det
\dew
\deu
\dRp
\dRs
\dF nothing
\dc
\df
\df lpad
\do ||/
\dO
\dAc btree int4
\dAf btree int4
\drds
\dconfig lock_timeout
\dconfig+ search_path
\l nothing
\sf nothing
\encoding
drop schema t_c cascade;
