-- Looking into json.
create schema js; set search_path = js;
create table t (id int primary key, j json);
insert into t values (1, '{"a": 1, "b": {"c": [10, "x", null]}, "a": 2}'), (2, '[1, {"k": "v"}, "é"]'), (3, '"s"'), (4, null);
select id, j -> 'a', j ->> 'a', j -> 1, j ->> -1, j #> '{b,c}', j #>> '{b,c,1}', json_typeof(j) from t order by id;
select id from t where j ->> 'a' = '2';
select json_extract_path_text(j, 'b', 'c', '0') from t where id = 1;
select json_array_length(j) from t where id = 2;
select json_array_length(j) from t where id = 1;
select json_array_length(j) from t where id = 3;
select key, value from t, json_each(j) where id = 1;
select * from json_each_text('{"a": "x\ny", "b": null, "c": {"d": 1}}');
select json_object_keys(j) from t where id = 1;
select json_object_keys(j) from t where id = 2;
select * from json_array_elements('[1, [2, 3], {"a": 4}]');
select value || '!' from json_array_elements_text('["a", null, 3]');
select * from json_array_elements('{}');
drop schema js cascade;
