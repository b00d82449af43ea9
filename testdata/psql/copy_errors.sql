-- What COPY says of bad input, with its CONTEXT.
create schema copyerr; set search_path = copyerr;
create table t (a int primary key, b text not null, c numeric(5,2) check (c > 0));
copy t from stdin;
1	x
\.
copy t from stdin;
1	x	2	3
\.
copy t from stdin;
1
\.
copy t from stdin;
zz	x	1
\.
copy t from stdin;
1	\N	1
\.
copy t from stdin;
1	x	-1
\.
copy t from stdin;
1	x	1
1	y	1
\.
copy t from stdin;
1	x	12345
\.
copy t from stdin;
5	x	1\.
\.
copy t from stdin csv;
1,"x,1
2,y,2
\.
copy t from stdin csv;
1,x,1,9
\.
copy t from stdin csv;
1,x
\.
copy t from stdin csv;
1,,1
\.
copy t from stdin csv;
q"x",y,1
\.
copy t from stdin csv header;
a,b,c
zz,y,1
\.
copy t from stdin csv header match;
a,x,c
1,y,1
\.
copy t from stdin csv header match;
a,b
1,y,1
\.
copy t from stdin csv header match;
a,b,c,d
1,y,1
\.
copy t from stdin (header match);
a	b	\N
1	y	1
\.
copy t from stdin csv;
1,"multi
line",-5
\.
copy t (a, b) from stdin csv;
1,"multi
line",-5
\.
copy t (a, nosuch) from stdin;
copy t (a, a) from stdin;
copy nosuch from stdin;
copy t from stdin;
100	aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa	zz
\.
copy t from stdin;
xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx	a	1
\.
copy t (a) from stdin;
7
\.
copy t from stdin (null 'x');
x	b	1
\.
copy t from stdin csv;
"",b,1
\.
copy t from stdin csv force not null a;
,b,1
\.
copy t from stdin;
8	x	1
9	y	2
\.
copy t from stdin csv;
8,x,1
9,y,2
\.
copy t from stdin csv;
18,x,1
19,"y
z",2
"20,u,
21,x,1
\.
copy t from stdin;
30	x\.y	1
\.
copy t from stdin;
\.x	1
\.
select * from t order by a;
drop schema copyerr cascade;
