// The mariadb driver's visit to a server: see visit.js.
'use strict';
const mariadb = require('mariadb');
const { visit } = require('./visit.js');

visit(async (o, count) => {
  const c = await mariadb.createConnection({
    host: o.host, user: o.user, password: o.password, database: 'app',
    allowPublicKeyRetrieval: true, // plaintext to caching_sha2_password
    // Else it sends SET NAMES utf8mb4 to MySQL 5.6, and its text in the Latin-1
    // that the greeting names.
    charset: 'utf8mb4',
  });
  for (const sql of ['USE other', 'USE app', ...o.queries]) {
    await count(c.query(sql));
  }
  const insert = await c.prepare('INSERT INTO t (id, v, n) VALUES (?, ?, ?)');
  const select = await c.prepare('SELECT id, v, n FROM t WHERE id = ? OR v = ?');
  for (const values of [[10, 'ten', 100], [11, null, -1], [12, 'zwölf', 2 ** 40]]) {
    await count(insert.execute(values));
    await count(select.execute([values[0], 'zwölf']));
  }
  insert.close();
  await count(c.query('SELECT * FROM missing'));
  // Several rows with one command, where the server offers it.
  await count(c.batch('INSERT INTO t (id, v) VALUES (?, ?)', [[13, 'a'], [14, 'b'], [15, 'zwölf']]));
  if (o.other) {
    await count(c.changeUser({ user: o.other, password: o.otherPassword, database: 'app' }));
  }
  await count(c.query("INSERT INTO t (id, v) VALUES (20, 'dreißig')"));
  await c.end();
});
