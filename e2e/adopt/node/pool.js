// A pool of mysql2 or mariadb that is warm before it is used.
//
//   node pool.js DRIVER HOST USER PASSWORD CONNECTIONS ROUNDS PAUSE FIRST UNTIL
//
// Each connection sets variables and prepares statements; then "warm" is said, and
// once the file UNTIL is there each is used. Rows have the threads FIRST and on.
// It rests for PAUSE milliseconds behind each round.
'use strict';
const fs = require('fs');

const insert = 'INSERT INTO pool (thread, round, n, word) VALUES (?, ?, ?, ?)';
const update = 'UPDATE pool SET n = n + ? WHERE thread = ? AND round = ?';

async function open(driver, host, user, password) {
  const options = { host, user, password, database: 'app', charset: 'utf8mb4', allowPublicKeyRetrieval: true };
  if (driver === 'mysql2') {
    delete options.allowPublicKeyRetrieval;
    const c = await require('mysql2/promise').createConnection(options);
    return { query: (q) => c.query(q), execute: (q, v) => c.execute(q, v), end: () => c.end() };
  }
  const c = await require('mariadb').createConnection(options);
  return { query: (q) => c.query(q), execute: (q, v) => c.execute(q, v), end: () => c.end() };
}

(async () => {
  const [driver, host, user, password, connections, rounds, pause, first, until] = process.argv.slice(2);
  const pool = [];
  for (let i = 0; i < Number(connections); i += 1) {
    const c = await open(driver, host, user, password);
    await c.query(`SET @n = ${i}, @text = 'zwölf ${i}'`);
    await c.query("SET time_zone = '-05:00'");
    await c.execute('SELECT ? + 1 FROM pool WHERE thread = ?', [1, -1]);
    await c.execute(insert, [Number(first) + i, -1, 0, 'warm']);
    await c.execute(update, [1, Number(first) + i, -1]);
    pool.push(c);
  }
  process.stderr.write('warm\n');
  while (!fs.existsSync(until)) await new Promise((r) => { setTimeout(r, 20); });
  await Promise.all(pool.map(async (c, i) => {
    const thread = Number(first) + i;
    for (let k = 0; k < Number(rounds); k += 1) {
      await c.query(`INSERT INTO pool (thread, round, n, word, state) VALUES (${thread}, ${10 * k}, @n, @text, CONCAT_WS('|', DATABASE(), @@time_zone, FROM_UNIXTIME(1700000000)))`);
      await c.execute(insert, [thread, 10 * k + 1, k * 1000, `wort ü ${k}`]);
      await c.execute(insert, [thread, 10 * k + 2, null, 'null']);
      await c.execute(update, [k, thread, 10 * k + 1]);
      await c.query(`SELECT COUNT(*) FROM pool WHERE thread = ${thread}`);
      await new Promise((r) => { setTimeout(r, Number(pause)); });
    }
  }));
  for (const c of pool) await c.end();
})().catch((e) => { process.stderr.write(`${e.stack}\n`); process.exitCode = 1; });
