// node-postgres (pg) against a running server: values, prepared statements, errors, transactions, cursors, pools.
// Usage: NODE_PATH=node_modules node node.js postgresql://USER@HOST:PORT/DATABASE
// Prints one line for each check and exits 1 when one failed.

const assert = require('node:assert/strict')
const { Client, Pool } = require('pg')
const Cursor = require('pg-cursor')

const connectionString = process.argv[2]

const checks = {
  async 'values of each type come back as they went in'(c) {
    const row = {
      b: true, i4: 7, i8: '9223372036854775807', f8: 0.1, n: '-12345678901234567890.123456789', t: 'naïve 🦀', bytes: Buffer.from([0, 1, 255]),
      tz: new Date('2000-01-01T00:00:00.123Z'), u: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', j: { a: [1, null] }, none: null,
    }
    await c.query('CREATE TABLE node_values (b bool, i4 int4, i8 int8, f8 float8, n numeric, t text, bytes bytea, tz timestamptz, u uuid, j json, none text)')
    await c.query('INSERT INTO node_values VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)', Object.values(row))
    assert.deepEqual((await c.query('SELECT * FROM node_values')).rows, [row])
    const array = await c.query('SELECT $1::int[] AS a, $2::text[] AS t', [[1, 2, null], ['a,b', '"', null]])
    assert.deepEqual(array.rows[0], { a: [1, 2, null], t: ['a,b', '"', null] })
  },
  async 'a named statement is prepared once and used again'(c) {
    for (let n = 0; n < 5; n++) {
      const { rows, fields } = await c.query({ name: 'plus', text: 'SELECT $1::int + 1 AS next', values: [n] })
      assert.deepEqual(rows, [{ next: n + 1 }])
      assert.equal(fields[0].dataTypeID, 23)
    }
    assert.equal((await c.query("SELECT count(*)::int AS n FROM pg_prepared_statements WHERE name = 'plus'")).rows[0].n, 1)
  },
  async 'several statements in one text give several results'(c) {
    const results = await c.query('CREATE TABLE node_many (id int); INSERT INTO node_many VALUES (1), (2); SELECT * FROM node_many ORDER BY id')
    assert.deepEqual(results.map((r) => [r.command, r.rowCount]), [['CREATE', null], ['INSERT', 2], ['SELECT', 2]])
  },
  async 'an error has its SQLSTATE and names its constraint'(c) {
    await c.query('CREATE TABLE node_errors (id int PRIMARY KEY)')
    await c.query('INSERT INTO node_errors VALUES ($1)', [1])
    await assert.rejects(c.query('INSERT INTO node_errors VALUES ($1)', [1]), (e) => {
      assert.deepEqual([e.code, e.table, e.constraint, e.detail], ['23505', 'node_errors', 'node_errors_pkey', 'Key (id)=(1) already exists.'])
      return true
    })
    await assert.rejects(c.query('SELECT nothing'), (e) => e.code === '42703' && e.position === '8')
  },
  async 'a transaction rolls back'(c) {
    await c.query('CREATE TABLE node_rolled (id int)')
    await c.query('BEGIN')
    await c.query('INSERT INTO node_rolled VALUES (1)')
    await c.query('ROLLBACK')
    assert.equal((await c.query('SELECT * FROM node_rolled')).rowCount, 0)
  },
  async 'a cursor reads in pieces'(c) {
    const cursor = c.query(new Cursor('SELECT g FROM generate_series(1, $1::int) g', [1000]))
    let sum = 0
    for (let rows = await cursor.read(64); rows.length; rows = await cursor.read(64)) sum += rows.reduce((s, r) => s + r.g, 0)
    await cursor.close()
    assert.equal(sum, 500500)
  },
  async 'a pool serves many at once'() {
    const pool = new Pool({ connectionString, max: 4 })
    const results = await Promise.all(Array.from({ length: 40 }, (_, n) => pool.query('SELECT $1::int * 2 AS n', [n])))
    await pool.end()
    assert.deepEqual(results.map((r) => r.rows[0].n), Array.from({ length: 40 }, (_, n) => n * 2))
  },
  async 'a notice and a notification arrive'(c) {
    const notices = []
    c.on('notice', (n) => notices.push(n.message))
    await c.query('DROP TABLE IF EXISTS node_absent')
    assert.deepEqual(notices, ['table "node_absent" does not exist, skipping'])
    const arrived = new Promise((resolve) => c.on('notification', resolve))
    await c.query('LISTEN "Node channel"')
    await c.query('SELECT pg_notify($1, $2)', ['Node channel', 'hello'])
    const { channel, payload } = await arrived
    assert.deepEqual([channel, payload], ['Node channel', 'hello'])
    await c.query('UNLISTEN *')
  },
}

async function main() {
  let failed = 0
  for (const [name, check] of Object.entries(checks)) {
    const client = new Client({ connectionString })
    await client.connect()
    try {
      await check(client)
      console.log(`ok      ${name}`)
    } catch (e) {
      failed++
      console.log(`FAILED  ${name}: ${e.stack}`)
    } finally {
      await client.end()
    }
  }
  process.exit(failed === 0 ? 0 : 1)
}

main()
