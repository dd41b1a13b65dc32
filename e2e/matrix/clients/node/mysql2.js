// The mysql2 driver's visit to a server: see visit.js.
'use strict';
const mysql = require('mysql2/promise');
const { visit } = require('./visit.js');

visit(async (o, count) => {
  const c = await mysql.createConnection({ host: o.host, user: o.user, password: o.password, database: 'app' });
  const attributes = { traceparent: '00-4bf92f3577b34da6-01', shard: '7' };
  for (const sql of ['USE other', 'USE app', ...o.queries]) {
    await count(c.query({ sql, attributes }));
  }
  const insert = 'INSERT INTO t (id, v, n) VALUES (?, ?, ?)';
  const select = { sql: 'SELECT id, v, n FROM t WHERE id = ? OR v = ?', attributes };
  for (const values of [[10, 'ten', 100], [11, null, -1], [12, 'zwölf', 2 ** 40]]) {
    await count(c.execute(insert, values));
    await count(c.execute(select, [values[0], 'zwölf']));
  }
  c.unprepare(insert);
  await count(c.query({ sql: 'SELECT * FROM missing', attributes }));
  if (o.other) {
    await count(c.changeUser({ user: o.other, password: o.otherPassword, database: 'app' }));
  }
  await count(c.query({ sql: "INSERT INTO t (id, v) VALUES (20, 'dreißig')", attributes }));
  await count(c.execute(select, [20, 'zwölf']));
  await c.end();
});
