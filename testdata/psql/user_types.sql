-- psql's backslash commands on types that users made.
create schema t_u;
set search_path = t_u;
create type mood as enum ('sad', 'fine');
create domain positive as int check (value > 0);
create domain word as varchar(10) not null default 'w';
create type pair as (a int, b text);
create table uses (id int primary key, m mood default 'fine', n positive, w word, p pair, ms mood[]);
comment on type mood is 'the enum';
comment on domain positive is 'the domain';
\dT
\dT+
\dT mood
\dD
\dD+
\d pair
\d+ pair
\d uses
\d+ uses
\dt
drop schema t_u cascade;
