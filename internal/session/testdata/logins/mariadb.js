// A short session of the driver mariadb: see record.sh.
//
//   node mariadb.js PORT USER PASSWORD [OTHER PASSWORD]
'use strict';
const mariadb = require('mariadb');

(async () => {
  const [port, user, password, other, otherPassword] = process.argv.slice(2);
  const c = await mariadb.createConnection({
    host: '127.0.0.1', port, user, password, database: 'app',
    allowPublicKeyRetrieval: true, // plaintext to caching_sha2_password
  });
  await c.query('SELECT 1');
  if (other) {
    await c.changeUser({ user: other, password: otherPassword, database: 'app' });
    await c.query('SELECT 2');
  }
  await c.end();
})().catch((e) => {
  console.error(e.message);
  process.exit(1); // the connection may be open still
});
