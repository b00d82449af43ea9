-- Roles, memberships, GRANT and REVOKE, and what psql shows of them.
CREATE SCHEMA psql_privileges;
SET search_path = psql_privileges;
CREATE ROLE psql_ann LOGIN;
CREATE ROLE psql_bob NOINHERIT CREATEDB CONNECTION LIMIT 3;
CREATE USER psql_cat VALID UNTIL '2040-01-01 00:00:00+00';
CREATE GROUP psql_staff ROLE psql_ann ADMIN psql_bob;
CREATE ROLE psql_ann;
CREATE ROLE pg_something;
CREATE ROLE "none";
GRANT psql_staff TO psql_cat WITH ADMIN OPTION;
GRANT psql_staff TO psql_cat;
GRANT psql_cat TO psql_staff;
ALTER GROUP psql_staff DROP USER psql_bob;
REVOKE psql_staff FROM psql_bob;
ALTER ROLE psql_ann SET work_mem = '8MB';
ALTER ROLE psql_ann SET search_path = psql_privileges, "Odd Name";
ALTER ROLE psql_bob SET no_such = 1;
ALTER ROLE psql_cat SET work_mem = 'many';
\du psql_*
\drds psql_*

GRANT USAGE ON SCHEMA psql_privileges TO PUBLIC;
CREATE TABLE t (a int, b int, c text);
CREATE TABLE u (id serial PRIMARY KEY, t int);
CREATE VIEW v AS SELECT a, b FROM t;
CREATE FUNCTION f(x int) RETURNS int LANGUAGE sql AS 'SELECT x + 1';
CREATE TYPE colour AS ENUM ('red');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
GRANT SELECT, INSERT ON t TO psql_ann WITH GRANT OPTION;
GRANT UPDATE (a, b), SELECT (c) ON t TO psql_bob;
GRANT ALL ON v TO PUBLIC;
GRANT USAGE ON SEQUENCE u_id_seq TO psql_staff;
GRANT USAGE ON t TO psql_ann;
GRANT EXECUTE ON t TO psql_ann;
GRANT FLY ON t TO psql_ann;
GRANT DELETE (a) ON t TO psql_ann;
GRANT SELECT (nope) ON t TO psql_ann;
GRANT INSERT ON SEQUENCE u_id_seq TO psql_ann;
GRANT SELECT ON nothing TO psql_ann;
GRANT SELECT ON t TO nobody_here;
GRANT SELECT ON t TO PUBLIC WITH GRANT OPTION;
GRANT EXECUTE ON FUNCTION f(int) TO psql_bob;
REVOKE EXECUTE ON FUNCTION f FROM PUBLIC;
GRANT USAGE ON TYPE colour TO psql_bob;
REVOKE ALL ON DOMAIN positive FROM PUBLIC;
GRANT CREATE ON SCHEMA psql_privileges TO psql_cat;
\dp
\z t
\dn+ psql_privileges
\df+ f
\dT+
\dD+

-- Granting on, and taking back what was granted on.
SET ROLE psql_ann;
GRANT SELECT ON t TO psql_cat;
GRANT DELETE ON t TO psql_cat;
GRANT ALL ON t TO psql_cat;
GRANT SELECT ON u TO psql_cat;
SELECT current_user, session_user;
RESET ROLE;
REVOKE SELECT ON t FROM psql_ann;
REVOKE GRANT OPTION FOR SELECT ON t FROM psql_ann CASCADE;
\dp t
REVOKE SELECT ON t FROM psql_ann;
SET ROLE psql_bob;
SET ROLE nobody_here;
RESET ROLE;

-- Who may do what.
INSERT INTO t VALUES (1, 2, 'three');
SET SESSION AUTHORIZATION psql_bob;
SELECT * FROM t;
SELECT a FROM t;
SELECT c FROM t;
SELECT count(*) FROM t;
UPDATE t SET a = 5;
UPDATE t SET a = a + 1;
UPDATE t SET c = 'x';
UPDATE t SET a = 6 RETURNING c;
DELETE FROM t;
INSERT INTO t (a) VALUES (1);
SELECT a FROM v;
TRUNCATE t;
LOCK TABLE t;
CREATE TABLE mine (a int);
CREATE VIEW w AS SELECT 1;
ALTER TABLE t ADD COLUMN d int;
DROP TABLE t;
CREATE INDEX ON t (a);
COMMENT ON TABLE t IS 'no';
ALTER TABLE t OWNER TO psql_bob;
DROP SCHEMA psql_privileges;
DROP FUNCTION f(int);
SELECT f(1);
SELECT nextval('u_id_seq');
INSERT INTO u (t) VALUES (1);
CREATE ROLE another;
DROP ROLE psql_ann;
ALTER ROLE psql_ann SUPERUSER;
ALTER ROLE psql_bob PASSWORD 'secret';
SET SESSION AUTHORIZATION psql_ann;
RESET SESSION AUTHORIZATION;
REVOKE ALL ON v FROM PUBLIC;
SET SESSION AUTHORIZATION psql_ann;
SELECT a FROM v;
SELECT f(1);
RESET SESSION AUTHORIZATION;

-- A view reads as its owner, a function may run as its owner.
CREATE TABLE secret (s text);
INSERT INTO secret VALUES ('hidden');
CREATE VIEW window_on AS SELECT s FROM secret;
CREATE FUNCTION peek() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT s || current_user FROM psql_privileges.secret';
CREATE FUNCTION peer() RETURNS text LANGUAGE sql AS 'SELECT s FROM psql_privileges.secret';
GRANT SELECT ON window_on TO psql_cat;
SET ROLE psql_cat;
SELECT * FROM window_on;
SELECT peek() = 'hidden' || session_user;
SELECT peer();
SELECT * FROM secret;
CREATE TABLE of_cat (a int);
CREATE VIEW by_cat AS SELECT * FROM secret;
SELECT * FROM by_cat;
RESET ROLE;
SELECT * FROM by_cat;

-- Answers of functions.
SELECT has_table_privilege('psql_ann', 't', 'INSERT'), has_table_privilege('psql_ann', 't', 'SELECT'), has_table_privilege('psql_bob', 't', 'UPDATE');
SELECT has_table_privilege('psql_ann', 't', 'INSERT WITH GRANT OPTION'), has_table_privilege('psql_ann', 't', 'DELETE, INSERT');
SELECT has_column_privilege('psql_bob', 't', 'a', 'UPDATE'), has_column_privilege('psql_bob', 't', 'a', 'SELECT'), has_any_column_privilege('psql_bob', 't', 'SELECT');
SELECT has_schema_privilege('psql_cat', 'psql_privileges', 'CREATE'), has_schema_privilege('psql_bob', 'psql_privileges', 'CREATE');
SELECT has_function_privilege('psql_bob', 'f(int)', 'EXECUTE'), has_function_privilege('psql_ann', 'f(int)', 'EXECUTE');
SELECT has_sequence_privilege('psql_ann', 'u_id_seq', 'USAGE'), has_sequence_privilege('psql_bob', 'u_id_seq', 'USAGE');
SELECT has_type_privilege('psql_bob', 'positive', 'USAGE'), has_type_privilege('psql_bob', 'colour', 'USAGE');
SELECT pg_has_role('psql_ann', 'psql_staff', 'USAGE'), pg_has_role('psql_bob', 'psql_staff', 'MEMBER'), pg_has_role('psql_cat', 'psql_staff', 'MEMBER WITH ADMIN OPTION');
SELECT has_table_privilege('nobody_here', 't', 'SELECT');
SELECT has_table_privilege('psql_ann', 't', 'JUMP');
SELECT has_table_privilege('psql_ann', 0, 'SELECT');
SELECT grantor, grantee, table_name, privilege_type, is_grantable FROM information_schema.table_privileges WHERE table_schema = 'psql_privileges' AND grantee LIKE 'psql%' ORDER BY 2, 3, 4;
SELECT grantee, table_name, column_name, privilege_type FROM information_schema.column_privileges WHERE table_name = 't' AND grantee = 'psql_bob' ORDER BY 3, 4;

-- Objects to come.
ALTER DEFAULT PRIVILEGES IN SCHEMA psql_privileges GRANT SELECT ON TABLES TO psql_ann;
ALTER DEFAULT PRIVILEGES FOR ROLE psql_cat REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA psql_privileges GRANT USAGE ON SCHEMAS TO psql_ann;
CREATE TABLE later (a int);
\ddp
\dp later

-- What belongs to a role.
DROP ROLE psql_bob;
DROP ROLE psql_cat;
REASSIGN OWNED BY psql_cat TO psql_ann;
\dt of_cat
DROP OWNED BY psql_cat;
DROP ROLE psql_cat;
DROP OWNED BY psql_ann, psql_bob, psql_staff;
DROP ROLE psql_ann, psql_bob, psql_staff;
DROP ROLE psql_ann;
DROP ROLE IF EXISTS psql_ann;
\ddp
DROP SCHEMA psql_privileges CASCADE;
