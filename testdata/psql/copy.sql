-- COPY in and out.
create schema t_c;
set search_path = t_c;
create table t (a int primary key, b text, c numeric(6,2));
copy t from stdin;
1	one	1.5
2	\N	\N
3	tab\there	3
\.
select * from t order by a;
copy t (a, b) from stdin with (format csv, header);
a,b
4,"quoted, ""text"""
5,
6,""
\.
select a, b, b is null from t order by a;
copy t to stdout;
copy t to stdout with (format csv, header, force_quote *);
copy (select a, c from t where a < 3 order by a) to stdout with (delimiter '|', null 'nil');
copy t from stdin;
7	seven
\.
copy t from stdin;
x	seven	1
\.
copy t from stdin;
7	seven	1	extra
\.
copy t from stdin;
8	eight	1
1	dup	1
\.
copy t from stdin;
8	eight	12345.678
\.
select count(*) from t;
copy nope from stdin;
copy t (nope) from stdin;
copy t from stdin with (format nope);
copy t to '/nonexistent/file' with (bogus);
copy t from stdin (delimiter ';', null 'NULL');
8;NULL;8.08
\.
select * from t where a = 8;
drop schema t_c cascade;
