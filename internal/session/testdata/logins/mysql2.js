// A short session of the driver mysql2: see record.sh.
//
//   node mysql2.js PORT USER PASSWORD [OTHER PASSWORD]
'use strict';
const mysql = require('mysql2/promise');

(async () => {
  const [port, user, password, other, otherPassword] = process.argv.slice(2);
  const c = await mysql.createConnection({ host: '127.0.0.1', port, user, password, database: 'app' });
  await c.query({ sql: 'SELECT 1', attributes: { shard: '7' } });
  if (other) {
    await c.changeUser({ user: other, password: otherPassword, database: 'app' });
    await c.query('SELECT 2');
  }
  await c.end();
})().catch((e) => {
  console.error(e.message);
  process.exit(1); // the connection may be open still
});
