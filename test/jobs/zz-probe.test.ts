import { test } from 'vitest';
import { claim } from '../../services/jobs/claim.ts';
import { ledgerFixture, recording } from './fixture.ts';
import mysql from 'mysql2/promise';
const on = ledgerFixture();
test('x', async () => {
  await on.add({}, {}, {}, {});
  const rec = recording(on.db);
  await claim(on.ledger({ db: rec.db }), 'w', 2);
  await on.add({}, {}, {}, {});
  for (const s of rec.statements.slice(0,1)) console.log(s.sql, await on.db.rows('EXPLAIN ' + s.sql, s.params));
  await on.db.transaction(async tx => {
    console.log((await tx.rows(rec.statements[0]!.sql, ['foreground', 2])).length);
    const root = await mysql.createConnection(on.database.root);
    console.log((await root.query('SHOW ENGINE INNODB STATUS'))[0][0].Status.match(/TRANSACTIONS[\s\S]*?FILE I/)[0]);
    console.log((await on.db.rows(rec.statements[0]!.sql, ['foreground', 2])).length);
    await root.end();
  });
});
