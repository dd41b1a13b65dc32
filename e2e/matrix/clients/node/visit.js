// What the Node drivers have in common: the arguments, and the count.
//
//   node DRIVER.js HOST USER PASSWORD OTHER OTHERPASSWORD QUERIES
//
// OTHER is the account for COM_CHANGE_USER, or empty: none. QUERIES is a file of
// statements, one a line. The last line of the output is
// JSON: how many calls of the driver there were, and how many of them failed.
'use strict';
const fs = require('fs');

exports.visit = async (body) => {
  const [host, user, password, other, otherPassword, file] = process.argv.slice(2);
  const queries = fs.readFileSync(file, 'utf8').trim().split('\n').map((q) => q.replace(/;$/, ''));
  let commands = 0;
  let errors = 0;
  const count = async (call) => {
    commands++;
    try {
      return await call;
    } catch (e) {
      errors++;
      process.stderr.write(`${e.message}\n`);
    }
  };
  try {
    await body({ host, user, password, other, otherPassword, queries }, count);
  } catch (e) {
    process.stderr.write(`${e.stack}\n`);
    process.exitCode = 1;
  }
  process.stdout.write(`${JSON.stringify({ commands, errors })}\n`);
};
