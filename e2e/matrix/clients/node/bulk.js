// The mariadb driver's bulk inserts, and its statements that it executes by the
// id -1 before it has read the answer to their PREPARE.
//
//   node bulk.js HOST USER PASSWORD ROUNDS
'use strict';
const mariadb = require('mariadb');

(async () => {
  const [host, user, password, rounds] = process.argv.slice(2);
  const c = await mariadb.createConnection({ host, user, password, database: 'app', charset: 'utf8mb4', prepareCacheLength: 4 });
  await c.query('CREATE TABLE driven (id INT PRIMARY KEY, v VARCHAR(100), n BIGINT)');
  let id = 0;
  const row = () => { id += 1; return [id, id % 3 ? `row ${id}` : null, id * 2 ** 20]; };
  for (let i = 0; i < Number(rounds); i += 1) {
    await c.batch('INSERT INTO driven VALUES (?, ?, ?)', Array.from({ length: 1 + (i * 7) % 50 }, row));
    // More texts than the driver's cache holds: it prepares them again and again.
    for (let k = 0; k < 6; k += 1) {
      await c.execute(`INSERT INTO driven VALUES (?, CONCAT('text ${k}: ', COALESCE(?, '-')), ?)`, row());
    }
    await c.execute('SELECT COUNT(*) FROM driven WHERE n > ?', [i]);
    await c.execute('SELECT * FROM missing WHERE id = ?', [i]).catch(() => {});
  }
  await c.reset(); // else the driver closes its statements behind COM_QUIT
  await c.end();
})().catch((e) => { process.stderr.write(`${e.stack}\n`); process.exitCode = 1; });
