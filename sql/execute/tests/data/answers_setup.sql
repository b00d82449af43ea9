create table d (id int primary key, g int, v bigint, n numeric(12,3), f float8, x text, b bool, dt date, ts timestamp, c char(5), iv interval, sm smallint)
insert into d select i, case when i % 7 = 0 then null else i % 5 end, i * 1000000007::bigint, (i::numeric / 7)::numeric(12,3), case when i % 11 = 0 then 'NaN' else i / 3.0 end, 'x' || (i % 13), i % 2 = 0, date '2020-01-01' + i, timestamp '2020-01-01' + i * interval '1 hour', 'c' || (i % 4), (i % 9) * interval '1 day', i % 100 from generate_series(1, 500) i
create table e (k int primary key, g int, w numeric)
insert into e select i, i % 6, i * 1.50 from generate_series(1, 40) i
