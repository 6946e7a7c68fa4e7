import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { configuredStore } from '../../../services/history/objects/configured.ts';
import { silent } from '../../broker/peers.ts';
import { TEST_ACCOUNT } from '../../support/s3/server.ts';
import { configWith, type Overrides } from '../../worker/workshop.ts';
import { folderOfTest, sampleFile } from './support/files.ts';
import { serverOfTest } from './support/stores.ts';

const { signal } = new AbortController();
const folder = folderOfTest();
const dataFolder = join(folder, 'data');
const file = sampleFile(folder, 'file', 1_000);
const key = 'historical-stock/eod/root=AAPL/year=2024/data.parquet';
const server = await serverOfTest({ folder: join(folder, 'server') });

const storeWith = (overrides: Overrides) => configuredStore({ config: configWith(overrides), dataFolder, log: silent });
const s3 = (overrides: Overrides = {}) =>
  storeWith({
    'history.store.kind': 's3',
    'history.store.s3.bucket': server.bucket,
    'history.store.s3.endpoint': server.url,
    'history.store.s3.access_key_id': TEST_ACCOUNT.accessKeyId,
    'history.store.s3.secret_access_key': TEST_ACCOUNT.secretAccessKey,
    ...overrides,
  });

test('objects are in the data folder unless a folder is named', async () => {
  await storeWith({}).put(key, file.path, file.digest, signal);
  expect(existsSync(join(dataFolder, 'history', key))).toBe(true);
  const named = join(folder, 'named');
  const store = storeWith({ 'history.store.folder': named });
  await store.put(key, file.path, file.digest, signal);
  expect(existsSync(join(named, key))).toBe(true);
  expect(store.where).toBe(`the folder ${named}`);
});

test.each([
  { prefix: '', stored: key },
  { prefix: 'stockmesh', stored: `stockmesh/${key}` },
  { prefix: '/a/b/', stored: `a/b/${key}` },
])('objects are in the bucket below the prefix "$prefix"', async ({ prefix, stored }) => {
  const store = s3({ 'history.store.s3.prefix': prefix });
  await store.put(key, file.path, file.digest, signal);
  expect(server.objects.get(stored)).toMatchObject({ bytes: 1_000 });
  expect((await Array.fromAsync(store.list('historical-stock/', signal))).flat().map((object) => object.key)).toEqual([key]);
  await store.delete(key, signal);
});

test('a copy of an object of a bucket is made in the data folder', async () => {
  const store = s3();
  await store.put(key, file.path, file.digest, signal);
  const { path, release } = await store.local(key, signal);
  expect(path.startsWith(join(dataFolder, 'history-copies'))).toBe(true);
  await release();
});

test('a bucket of AWS is named with its region, and nothing is asked before the first use', () => {
  expect(s3({ 'history.store.s3.endpoint': null, 'history.store.s3.region': 'eu-central-1' }).where).toBe(
    'the bucket quotes at AWS (eu-central-1)',
  );
});

test.each([{ 'history.store.s3.access_key_id': null }, { 'history.store.s3.secret_access_key': null }])(
  'half an access key is refused before anything starts: %o',
  (overrides) => {
    expect(() => s3(overrides)).toThrow(
      expect.objectContaining({ code: 'config.missing_value', message: expect.stringContaining('secret_access_key') }),
    );
  },
);

test('a folder is used without the SDK of AWS', () => {
  const modules = ['services/history/objects/configured.ts', 'services/history/objects/s3.ts'].map((path) =>
    fileURLToPath(new URL(`../../../${path}`, import.meta.url)),
  );
  const script = `
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ resolve(name, context, next) { loaded.push(name); return next(name, context); } });
    for (const path of ${JSON.stringify(modules)}) await import(path);
    console.log(loaded.filter((name) => name.includes('aws')).join() || 'none');`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(stderr + stdout).toBe('none\n');
});
