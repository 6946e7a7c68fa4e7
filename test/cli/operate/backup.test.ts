import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { stockmesh } from '../command-line.ts';
import { overDatabase } from '../over-database.ts';

const mesh = await overDatabase();

test('a backup is restored into a new data folder, once', { timeout: 120_000 }, async () => {
  const root = mkdtempSync(join(tmpdir(), 'stockmesh-restore-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const [copy, data] = [join(root, 'copy'), join(root, 'data')];
  await mesh.db.run(
    "INSERT INTO notify_users (user_id, email, unwanted, changed_at) VALUES ('alice', 'alice@example.com', '[]', UTC_TIMESTAMP(3))",
  );
  expect(await mesh.json('backup', copy)).toMatchObject({ ok: true, folder: copy });
  const configuration = readFileSync(join(copy, 'configuration.json'), 'utf8');
  expect(configuration).toContain('database.username');
  expect(configuration).not.toContain('service-secret');
  const restore = () => stockmesh(['restore', copy, '--data', data, '--env', 'development']);
  expect(await restore()).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^restored \d+ rows of \d+ tables as of .*; each is as it was backed up\n$/),
  });
  const again = await restore();
  expect(again.code).not.toBe(0);
  expect(again.stderr).toContain('has rows already');
});
