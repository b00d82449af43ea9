m6.mv1
 SELECT COALESCE(ta.id, 0) AS c,
    id AS d,
    id
   FROM m6.ta
     FULL JOIN m6.tb USING (id);
m6.mv2
 SELECT count(ta.*) AS count,
    row_to_json((ta.*::m6.ta)::record) AS r,
    ta.*::m6.ta AS ta
   FROM m6.ta
  GROUP BY ta.id;
m6.mv3
 SELECT x.id,
    x.v
   FROM (m6.ta
     JOIN m6.tb USING (id)) x(id, v, q, w);
m6.mv4
 SELECT a.v,
    b.w
   FROM m6.ta a
     CROSS JOIN m6.tb b
  WHERE (a.n > ALL ( SELECT ta.n
           FROM m6.ta)) AND a.id = 1 AND a.n = 2;
m6.mv5
 SELECT sum(ta.n) OVER w AS s,
    first_value(ta.v) OVER (PARTITION BY ta.v ORDER BY ta.id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS f
   FROM m6.ta
  WINDOW w AS (PARTITION BY ta.v ORDER BY ta.id);
m6.mv6
 SELECT ARRAY( SELECT tb.id
           FROM m6.tb) AS arr,
    ARRAY[1, 2] AS lit,
    (ARRAY[1, 2, 3])[2] AS sub,
    '{a}'::text[] AS t,
    '1 day'::interval AS i,
    '2020-01-01'::date AS d,
    NULL::integer AS nn,
    '-5'::integer AS neg,
    1.5 AS num,
    '10000000000'::numeric AS big,
    '12345678901'::bigint AS b8,
    true AS tr,
    '101'::bit AS bits,
    '\x00'::bytea AS by;
m6.mv7
 SELECT DISTINCT ON (ta.v) ta.v,
    ta.id
   FROM m6.ta
  ORDER BY ta.v, ta.id DESC
 OFFSET 2;
m6.mv9
 select string_agg(v, ',' order by id desc) s, percentile_cont(0.5) within group (order by n) p, max(n) filter (where n > 1) from ta;
m6.mv10
 WITH x AS MATERIALIZED (
         SELECT 1 AS a
        ), y(b) AS (
         SELECT x_1.a
           FROM x x_1
        )
 SELECT x.a,
    y.b
   FROM x,
    y
  WHERE NOT (x.a IS DISTINCT FROM y.b) AND x.a IS NOT NULL AND (y.b = 1) IS TRUE;
m6.mv11
 SELECT ta.id
   FROM m6.ta
UNION (
         SELECT tb.id
           FROM m6.tb
        INTERSECT
         SELECT 3 AS id
)
  ORDER BY 1;
m6.mv12
 VALUES (1,'a'::text), (2,NULL::text);
m6.mv13
 SELECT ta.v || 'x'::text AS cat,
    upper(ta.v) AS u,
    ta.v ~~ 'a%'::text AS l,
    ta.v ~ similar_to_escape('b%'::text) AS s,
    ta.n >= 1 AND ta.n <= 2 AS b,
    NOT (ta.n = 3) AS nt,
    ta.v ~* 'x'::text AS re,
    ta.n % 2 AS m,
    - ta.n AS neg,
    @ ta.n AS ab,
    ta.n::text || 'q'::text AS q
   FROM m6.ta;
m6.mv14
 SELECT s.id,
    s."V v"
   FROM ( SELECT ta.id,
            ta.v AS "V v"
           FROM m6.ta
          WHERE ta.n IS NULL) s;
m6.mv16
 SELECT f.a,
    f.b
   FROM ROWS FROM(unnest(ARRAY[1, 2]), unnest(ARRAY['x'::text, 'y'::text])) f(a, b),
    json_each('{"a":1}'::json) j(key, value);
m6.mv17
 SELECT CURRENT_USER AS "current_user",
    CURRENT_DATE AS "current_date",
    LOCALTIMESTAMP(2) AS "localtimestamp",
    now() AS now;
m6.mv18
 SELECT
        CASE
            WHEN ta.n = 1 THEN 
            CASE ta.v
                WHEN 'a'::text THEN 1
                ELSE NULL::integer
            END
            ELSE 2
        END AS "case"
   FROM m6.ta
  ORDER BY (
        CASE
            WHEN ta.n = 1 THEN 1
            ELSE 0
        END);
m6.mv19
 SELECT NULLIF(ta.n, 1) AS "nullif",
    GREATEST(ta.n, 2) AS "greatest",
    LEAST(ta.n, 3, ta.id) AS "least"
   FROM m6.ta
 LIMIT 5;
m6.mv20
 SELECT ( SELECT ta.v
           FROM m6.ta
         LIMIT 1) AS one,
    (EXISTS ( SELECT)) AS e
   FROM m6.tb
  WHERE (tb.id IN ( SELECT ta.id
           FROM m6.ta
          WHERE ta.id = tb.id));
m6.mv22
 SELECT t.x,
    t.o
   FROM generate_series(1, 3) WITH ORDINALITY t(x, o)
  WHERE t.x > 1;
m6.mv24
 SELECT ta.id,
    ta.v,
    ta.n,
    l.nx
   FROM ONLY m6.ta,
    LATERAL ( SELECT ta.id + 1 AS nx) l;
