// pgJDBC against a running server: values, batches, generated keys, cursors, transactions, DatabaseMetaData.
// Usage: java -cp postgresql.jar Jdbc.java jdbc:postgresql://HOST:PORT/DATABASE?user=USER
// Prints one line for each check and exits 1 when one failed.

import java.math.BigDecimal;
import java.sql.*;
import java.time.*;
import java.util.*;

public class Jdbc {
    interface Check {
        void run(Connection c) throws Exception;
    }

    static String url;
    static int failed = 0;

    public static void main(String[] args) throws Exception {
        url = args[0];
        check("values of each type come back as they went in", Jdbc::values);
        check("a statement that is prepared on the server is used again", Jdbc::preparedOnServer);
        check("a batch is sent at once and counts its rows", Jdbc::batch);
        check("a batch rewritten to inserts of many rows counts its rows", Jdbc::rewrittenBatch);
        check("generated keys are returned", Jdbc::generatedKeys);
        check("a fetch size reads by a cursor", Jdbc::fetchSize);
        check("transactions roll back to savepoints", Jdbc::savepoints);
        check("an error has its SQLSTATE and names its constraint", Jdbc::errors);
        check("a result set updates its rows", Jdbc::updatable);
        check("arrays go in and out", Jdbc::arrays);
        check("COPY goes in and out", Jdbc::copy);
        check("metadata: schemas, tables and table types", Jdbc::tables);
        check("metadata: columns", Jdbc::columns);
        check("metadata: primary keys and indexes", Jdbc::keys);
        check("metadata: foreign keys", Jdbc::foreignKeys);
        check("metadata: types, functions, procedures, privileges", Jdbc::others);
        check("metadata of a result and of parameters", Jdbc::resultMetadata);
        System.exit(failed == 0 ? 0 : 1);
    }

    static void check(String name, Check check) {
        try (Connection c = DriverManager.getConnection(url)) {
            check.run(c);
            System.out.println("ok      " + name);
        } catch (Throwable e) {
            failed++;
            StackTraceElement[] trace = e.getStackTrace();
            String at = Arrays.stream(trace).filter(t -> t.getClassName().equals("Jdbc")).map(t -> ":" + t.getLineNumber()).findFirst().orElse("");
            System.out.println("FAILED  " + name + " (Jdbc.java" + at + "): " + e);
        }
    }

    static void equal(Object got, Object expected) {
        if (!Objects.equals(got, expected)) throw new AssertionError("got " + got + ", expected " + expected);
    }

    static void execute(Connection c, String... statements) throws SQLException {
        try (Statement s = c.createStatement()) {
            for (String sql : statements) s.execute(sql);
        }
    }

    /** The named columns of every row, joined. */
    static List<String> rows(ResultSet r, String... columns) throws SQLException {
        List<String> found = new ArrayList<>();
        while (r.next()) {
            StringJoiner row = new StringJoiner("|");
            for (String c : columns) row.add(String.valueOf(r.getObject(c)));
            found.add(row.toString());
        }
        return found;
    }

    static void values(Connection c) throws Exception {
        Object[] values = {
            true, (short) 7, 2147483647, -9223372036854775808L, 1.5f, 0.1, new BigDecimal("-12345678901234567890.123456789"), "naïve 🦀",
            LocalDate.of(1969, 7, 20), LocalTime.of(20, 17, 40, 123456000), LocalDateTime.of(2038, 1, 19, 3, 14, 8, 999999000),
            OffsetDateTime.of(2000, 1, 1, 0, 0, 0, 0, ZoneOffset.UTC), UUID.fromString("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
        };
        execute(c, "CREATE TABLE jdbc_values (b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, t text, d date, "
            + "tm time, ts timestamp, tz timestamptz, u uuid, bytes bytea)");
        try (PreparedStatement s = c.prepareStatement("INSERT INTO jdbc_values VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)")) {
            for (int i = 0; i < values.length; i++) s.setObject(i + 1, values[i]);
            s.setBytes(14, new byte[] {0, 1, -1});
            equal(s.executeUpdate(), 1);
            for (int i = 0; i < 14; i++) s.setNull(i + 1, i == 13 ? Types.BINARY : i == 12 ? Types.OTHER : Types.NULL);
            equal(s.executeUpdate(), 1);
        }
        // Often enough for the driver to prepare on the server and to ask for binary values.
        try (PreparedStatement s = c.prepareStatement("SELECT * FROM jdbc_values WHERE i4 = ?")) {
            for (int round = 0; round < 10; round++) {
                s.setInt(1, 2147483647);
                ResultSet r = s.executeQuery();
                equal(r.next(), true);
                for (int i = 0; i < values.length; i++) {
                    Object got = i == 1 ? (Object) r.getShort(2) : r.getObject(i + 1, values[i].getClass());
                    equal(got, values[i]);
                }
                equal(Arrays.toString(r.getBytes(14)), "[0, 1, -1]");
            }
        }
    }

    static void preparedOnServer(Connection c) throws Exception {
        try (PreparedStatement s = c.prepareStatement("SELECT ? + 1, ?::text")) {
            for (int n = 0; n < 20; n++) {
                s.setInt(1, n);
                s.setString(2, "w" + n);
                ResultSet r = s.executeQuery();
                r.next();
                equal(r.getInt(1), n + 1);
                equal(r.getString(2), "w" + n);
            }
        }
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("SELECT count(*) FROM pg_prepared_statements")) {
            r.next();
            equal(r.getInt(1) > 0, true);
        }
    }

    static void batch(Connection c) throws Exception {
        execute(c, "CREATE TABLE jdbc_batch (id int PRIMARY KEY, word text)");
        c.setAutoCommit(false);
        try (PreparedStatement s = c.prepareStatement("INSERT INTO jdbc_batch VALUES (?, ?)")) {
            for (int n = 0; n < 500; n++) {
                s.setInt(1, n);
                s.setString(2, "w" + n);
                s.addBatch();
            }
            int[] counts = s.executeBatch();
            equal(counts.length, 500);
            equal(Arrays.stream(counts).sum(), 500);
        }
        c.commit();
        try (Statement s = c.createStatement()) {
            s.addBatch("UPDATE jdbc_batch SET word = 'x' WHERE id < 10");
            s.addBatch("DELETE FROM jdbc_batch WHERE id >= 490");
            equal(Arrays.toString(s.executeBatch()), "[10, 10]");
        }
        c.rollback();
        try (PreparedStatement s = c.prepareStatement("INSERT INTO jdbc_batch VALUES (?, 'again')")) {
            s.setInt(1, 1000);
            s.addBatch();
            s.setInt(1, 1);
            s.addBatch();
            s.executeBatch();
            throw new AssertionError("a duplicate key was not refused");
        } catch (BatchUpdateException e) {
            equal(e.getSQLState(), "23505");
        }
        c.rollback();
    }

    static void rewrittenBatch(Connection ignored) throws Exception {
        try (Connection c = DriverManager.getConnection(url + "&reWriteBatchedInserts=true")) {
            execute(c, "CREATE TABLE jdbc_rewritten (id int PRIMARY KEY, word text)");
            try (PreparedStatement s = c.prepareStatement("INSERT INTO jdbc_rewritten VALUES (?, ?)")) {
                for (int n = 0; n < 100; n++) {
                    s.setInt(1, n);
                    s.setString(2, "w" + n);
                    s.addBatch();
                }
                equal(s.executeBatch().length, 100);
            }
            try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("SELECT count(*) FROM jdbc_rewritten")) {
                r.next();
                equal(r.getInt(1), 100);
            }
        }
    }

    static void generatedKeys(Connection c) throws Exception {
        execute(c, "CREATE TABLE jdbc_keys (id serial PRIMARY KEY, word text, n int GENERATED ALWAYS AS IDENTITY)");
        try (PreparedStatement s = c.prepareStatement("INSERT INTO jdbc_keys (word) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
            for (int n = 1; n <= 3; n++) {
                s.setString(1, "w");
                s.executeUpdate();
                ResultSet keys = s.getGeneratedKeys();
                equal(keys.next(), true);
                equal(keys.getInt("id"), n);
            }
        }
        try (PreparedStatement s = c.prepareStatement("INSERT INTO jdbc_keys (word) VALUES (?)", new String[] {"n"})) {
            s.setString(1, "one");
            s.addBatch();
            s.setString(1, "two");
            s.addBatch();
            s.executeBatch();
            equal(rows(s.getGeneratedKeys(), "n"), List.of("4", "5"));
        }
    }

    static void fetchSize(Connection c) throws Exception {
        c.setAutoCommit(false);
        try (PreparedStatement s = c.prepareStatement("SELECT g FROM generate_series(1, ?) g")) {
            s.setInt(1, 10_000);
            s.setFetchSize(100);
            long sum = 0;
            ResultSet r = s.executeQuery();
            while (r.next()) sum += r.getLong(1);
            equal(sum, 50_005_000L);
            s.setMaxRows(7);
            equal(rows(s.executeQuery(), "g").size(), 7);
        }
        c.commit();
    }

    static void savepoints(Connection c) throws Exception {
        execute(c, "CREATE TABLE jdbc_nested (id int PRIMARY KEY)");
        c.setAutoCommit(false);
        c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
        execute(c, "INSERT INTO jdbc_nested VALUES (1)");
        Savepoint point = c.setSavepoint("here");
        execute(c, "INSERT INTO jdbc_nested VALUES (2)");
        c.rollback(point);
        execute(c, "INSERT INTO jdbc_nested VALUES (3)");
        c.commit();
        c.setReadOnly(true);
        try {
            execute(c, "INSERT INTO jdbc_nested VALUES (4)");
            throw new AssertionError("a read-only transaction wrote");
        } catch (SQLException e) {
            equal(e.getSQLState(), "25006");
        }
        c.rollback();
        try (Statement s = c.createStatement()) {
            equal(rows(s.executeQuery("SELECT id FROM jdbc_nested ORDER BY id"), "id"), List.of("1", "3"));
        }
    }

    static void errors(Connection c) throws Exception {
        execute(c, "CREATE TABLE jdbc_errors (id int PRIMARY KEY, n int CHECK (n > 0))");
        try {
            execute(c, "INSERT INTO jdbc_errors VALUES (1, 0)");
            throw new AssertionError("a check was not made");
        } catch (org.postgresql.util.PSQLException e) {
            equal(e.getSQLState(), "23514");
            equal(e.getServerErrorMessage().getConstraint(), "jdbc_errors_n_check");
            equal(e.getServerErrorMessage().getTable(), "jdbc_errors");
        }
    }

    static void updatable(Connection c) throws Exception {
        execute(c, "CREATE TABLE jdbc_updatable (id int PRIMARY KEY, word text)", "INSERT INTO jdbc_updatable VALUES (1, 'a'), (2, 'b')");
        try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            ResultSet r = s.executeQuery("SELECT * FROM jdbc_updatable ORDER BY id");
            r.last();
            r.updateString("word", "changed");
            r.updateRow();
            r.moveToInsertRow();
            r.updateInt("id", 3);
            r.updateString("word", "c");
            r.insertRow();
            r.absolute(1);
            r.deleteRow();
        }
        try (Statement s = c.createStatement()) {
            equal(rows(s.executeQuery("SELECT * FROM jdbc_updatable ORDER BY id"), "id", "word"), List.of("2|changed", "3|c"));
        }
    }

    static void arrays(Connection c) throws Exception {
        try (PreparedStatement s = c.prepareStatement("SELECT ?::int4[], ?::text[]")) {
            s.setArray(1, c.createArrayOf("int4", new Integer[] {1, null, 3}));
            s.setArray(2, c.createArrayOf("text", new String[] {"a,b", "\"", null}));
            ResultSet r = s.executeQuery();
            r.next();
            equal(Arrays.asList((Object[]) r.getArray(1).getArray()), Arrays.asList(1, null, 3));
            equal(Arrays.asList((Object[]) r.getArray(2).getArray()), Arrays.asList("a,b", "\"", null));
            equal(r.getArray(1).getBaseTypeName(), "int4");
        }
    }

    static void copy(Connection c) throws Exception {
        execute(c, "CREATE TABLE jdbc_copied (id int, word text)");
        org.postgresql.copy.CopyManager copies = c.unwrap(org.postgresql.PGConnection.class).getCopyAPI();
        equal(copies.copyIn("COPY jdbc_copied FROM STDIN WITH (FORMAT csv)", new java.io.StringReader("1,one\n2,two\n")), 2L);
        java.io.StringWriter out = new java.io.StringWriter();
        equal(copies.copyOut("COPY jdbc_copied TO STDOUT", out), 2L);
        equal(out.toString(), "1\tone\n2\ttwo\n");
    }

    static void tables(Connection c) throws Exception {
        execute(c, "CREATE SCHEMA jdbc_s", "CREATE TABLE jdbc_s.t (id int)", "CREATE VIEW jdbc_s.v AS SELECT id FROM jdbc_s.t",
            "CREATE SEQUENCE jdbc_s.s", "COMMENT ON TABLE jdbc_s.t IS 'a table'");
        DatabaseMetaData m = c.getMetaData();
        equal(rows(m.getSchemas(null, "jdbc\\_s"), "TABLE_SCHEM"), List.of("jdbc_s"));
        equal(rows(m.getTables(null, "jdbc_s", "%", null), "TABLE_NAME", "TABLE_TYPE", "REMARKS"),
            List.of("s|SEQUENCE|null", "t|TABLE|a table", "v|VIEW|null"));
        equal(rows(m.getTables(null, "jdbc_s", "%", new String[] {"VIEW"}), "TABLE_NAME"), List.of("v"));
        equal(rows(m.getTables(null, "pg_catalog", "pg_class", null), "TABLE_TYPE"), List.of("SYSTEM TABLE"));
        equal(rows(m.getTableTypes(), "TABLE_TYPE").contains("MATERIALIZED VIEW"), true);
        equal(rows(m.getCatalogs(), "TABLE_CAT").contains(c.getCatalog()), true);
        equal(m.getDatabaseProductName(), "PostgreSQL");
        equal(m.getDatabaseMajorVersion(), 15);
        equal(m.getMaxColumnNameLength(), 63);
    }

    static void columns(Connection c) throws Exception {
        execute(c, "CREATE TABLE jdbc_columns (id serial PRIMARY KEY, v varchar(10) NOT NULL DEFAULT 'x', n numeric(8,2), tz timestamptz(3), "
            + "i int GENERATED ALWAYS AS IDENTITY, gone int)", "COMMENT ON COLUMN jdbc_columns.n IS 'an amount'", "ALTER TABLE jdbc_columns DROP COLUMN gone");
        DatabaseMetaData m = c.getMetaData();
        equal(rows(m.getColumns(null, "public", "jdbc_columns", "%"), "COLUMN_NAME", "DATA_TYPE", "TYPE_NAME", "COLUMN_SIZE", "DECIMAL_DIGITS",
                "NULLABLE", "COLUMN_DEF", "REMARKS", "ORDINAL_POSITION", "IS_AUTOINCREMENT"),
            List.of("id|4|serial|10|0|0|nextval('jdbc_columns_id_seq'::regclass)|null|1|YES", "v|12|varchar|10|0|0|'x'::character varying|null|2|NO",
                "n|2|numeric|8|2|1|null|an amount|3|NO", "tz|93|timestamptz|32|3|1|null|null|4|NO", "i|4|int4|10|0|0|null|null|5|YES"));
    }

    static void keys(Connection c) throws Exception {
        execute(c, "CREATE TABLE jdbc_indexed (a int, b int, c int, CONSTRAINT jdbc_pk PRIMARY KEY (b, a))",
            "CREATE UNIQUE INDEX jdbc_unique ON jdbc_indexed (c DESC)", "CREATE INDEX jdbc_plain ON jdbc_indexed (a, c)");
        DatabaseMetaData m = c.getMetaData();
        // The driver's versions order these rows in different ways.
        equal(new TreeSet<>(rows(m.getPrimaryKeys(null, "public", "jdbc_indexed"), "COLUMN_NAME", "KEY_SEQ", "PK_NAME")),
            new TreeSet<>(List.of("a|2|jdbc_pk", "b|1|jdbc_pk")));
        equal(rows(m.getIndexInfo(null, "public", "jdbc_indexed", false, true), "NON_UNIQUE", "INDEX_NAME", "TYPE", "ORDINAL_POSITION", "COLUMN_NAME", "ASC_OR_DESC"),
            List.of("false|jdbc_pk|3|1|b|A", "false|jdbc_pk|3|2|a|A", "false|jdbc_unique|3|1|c|D", "true|jdbc_plain|3|1|a|A", "true|jdbc_plain|3|2|c|A"));
        equal(rows(m.getBestRowIdentifier(null, "public", "jdbc_indexed", DatabaseMetaData.bestRowSession, true), "COLUMN_NAME").size(), 2);
        rows(m.getVersionColumns(null, "public", "jdbc_indexed"), "COLUMN_NAME");
    }

    static void foreignKeys(Connection c) throws Exception {
        execute(c, "CREATE TABLE jdbc_parent (a int, b int, PRIMARY KEY (a, b))", "CREATE TABLE jdbc_child (id int PRIMARY KEY, x int, y int, "
            + "CONSTRAINT jdbc_fk FOREIGN KEY (x, y) REFERENCES jdbc_parent ON DELETE CASCADE ON UPDATE SET NULL)");
        DatabaseMetaData m = c.getMetaData();
        List<String> expected = List.of("jdbc_parent|a|jdbc_child|x|1|2|0|jdbc_fk|jdbc_parent_pkey|7", "jdbc_parent|b|jdbc_child|y|2|2|0|jdbc_fk|jdbc_parent_pkey|7");
        String[] names = {"PKTABLE_NAME", "PKCOLUMN_NAME", "FKTABLE_NAME", "FKCOLUMN_NAME", "KEY_SEQ", "UPDATE_RULE", "DELETE_RULE", "FK_NAME", "PK_NAME", "DEFERRABILITY"};
        equal(rows(m.getImportedKeys(null, "public", "jdbc_child"), names), expected);
        equal(rows(m.getExportedKeys(null, "public", "jdbc_parent"), names), expected);
        equal(rows(m.getCrossReference(null, null, "jdbc_parent", null, null, "jdbc_child"), names), expected);
    }

    static void others(Connection c) throws Exception {
        execute(c, "CREATE TABLE jdbc_others (id int)");
        DatabaseMetaData m = c.getMetaData();
        equal(rows(m.getTypeInfo(), "TYPE_NAME").containsAll(List.of("bool", "int4", "text", "numeric", "timestamptz")), true);
        equal(rows(m.getFunctions(null, "pg_catalog", "upper"), "FUNCTION_NAME").contains("upper"), true);
        equal(rows(m.getFunctionColumns(null, "pg_catalog", "lpad", "%"), "COLUMN_NAME").isEmpty(), false);
        rows(m.getProcedures(null, null, "%"), "PROCEDURE_NAME");
        rows(m.getUDTs(null, "public", "%", null), "TYPE_NAME");
        equal(rows(m.getTablePrivileges(null, "public", "jdbc_others"), "PRIVILEGE").contains("SELECT"), true);
        equal(rows(m.getColumnPrivileges(null, "public", "jdbc_others", "id"), "PRIVILEGE").contains("SELECT"), true);
        equal(m.getSQLKeywords().isEmpty(), false);
        rows(m.getClientInfoProperties(), "NAME");
        c.setClientInfo("ApplicationName", "checks");
        c.setSchema("pg_catalog");
        equal(c.getSchema(), "pg_catalog");
        equal(c.isValid(5), true);
    }

    static void resultMetadata(Connection c) throws Exception {
        execute(c, "CREATE TABLE jdbc_result (id serial PRIMARY KEY, word varchar(10) NOT NULL)");
        try (PreparedStatement s = c.prepareStatement("SELECT id AS key, word, word || ? AS longer FROM jdbc_result WHERE id = ?")) {
            ResultSetMetaData m = s.getMetaData();
            equal(m.getColumnCount(), 3);
            equal(m.getColumnLabel(1) + " " + ((org.postgresql.PGResultSetMetaData) m).getBaseColumnName(1), "key id");
            equal(m.getTableName(1), "jdbc_result");
            equal(m.isAutoIncrement(1), true);
            equal(m.isNullable(2), ResultSetMetaData.columnNoNulls);
            equal(m.getPrecision(2), 10);
            equal(m.getColumnTypeName(3), "text");
            equal(s.getParameterMetaData().getParameterTypeName(1) + " " + s.getParameterMetaData().getParameterTypeName(2), "text int4");
        }
    }
}
