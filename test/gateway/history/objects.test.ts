/** What is stored, over HTTP: the manifest, the rows and the bytes of a file. Its bytes are compared with those in the folder of the store. */
import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ManifestRow, storeObjects } from '../../../services/history/manifest.ts';
import { takeClaim } from '../../../services/job-types/history/claims.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { storeQuotes } from '../../history/stored-quotes.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();
const DAY = '2024-01-03';
const DAYS = ['2024-01-02', DAY, '2024-01-04'];
let rows: ManifestRow[];
let row: ManifestRow;
beforeAll(async () => {
  rows = await storeQuotes({ config: mesh.config, dataFolder: mesh.folder, db: mesh.db }, DAYS);
  row = rows[1]!;
});
// The tables are empty before each test; the files stay.
beforeEach(() => mesh.db.transaction((tx) => storeObjects(tx, rows)));

const fileOf = ({ object: { key } }: ManifestRow): Buffer => readFileSync(join(mesh.folder, 'history', key));
const pathOf = (key: string, suffix = ''): string => `/v1/history/objects/${encodeURIComponent(key)}${suffix}`;
const bytes = async (key: string, headers: Record<string, string> = {}) => {
  const response = await fetch(`${mesh.gateway.url}${pathOf(key, '/data')}`, {
    headers: { authorization: `Bearer ${mesh.operator.key}`, ...headers },
  });
  return { status: response.status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) };
};

test('HEAD of a file says its length and its checksum, and sends nothing', async () => {
  const answer = await fetch(`${mesh.gateway.url}${pathOf(row.object.key, '/data')}`, {
    method: 'HEAD',
    headers: { authorization: `Bearer ${mesh.operator.key}` },
  });
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-length')).toBe(String(fileOf(row).length));
  expect(answer.headers.get('etag')).toBe(`"${row.sha256}"`);
  expect((await answer.arrayBuffer()).byteLength).toBe(0);
});

test('objects are listed in pages in the order of their keys, and filtered', async () => {
  const first = await mesh.operator.get('/v1/history/objects?root=AAPL&limit=2');
  expect(first.body.objects.map(({ key }: { key: string }) => key)).toEqual([rows[0]!.object.key, row.object.key]);
  const second = await mesh.operator.get(`/v1/history/objects?limit=2&cursor=${encodeURIComponent(first.body.next)}`);
  expect(second.body).toMatchObject({ objects: [{ from: '2024-01-04', rows: 32, dataset: 'option', interval: '15m' }], next: null });
  expect((await mesh.operator.get('/v1/history/objects?from=20240104&schema=quote')).body.objects).toHaveLength(1);
  expect((await mesh.operator.get('/v1/history/objects?root=MSFT')).body.objects).toEqual([]);
});

test('one object is shown with its manifest, its columns and its first rows', async () => {
  const { status, body } = await mesh.operator.get(`${pathOf(row.object.key)}?rows=2`);
  expect(status).toBe(200);
  expect(body).toMatchObject({
    key: row.object.key,
    rows: 32,
    sha256: row.sha256,
    days: { [DAY]: 32 },
    is_partial: false,
    writer: row.provenance.writer,
  });
  expect(body.columns.slice(0, 5).map(({ name, type }: { name: string; type: string }) => `${name} ${type}`)).toEqual([
    'symbol VARCHAR',
    'expiration DATE',
    'strike DOUBLE',
    'right VARCHAR',
    'timestamp TIMESTAMPTZ',
  ]);
  // 09:30 in New York in January is 14:30 UTC.
  expect(body.first_rows).toHaveLength(2);
  expect(body.first_rows[0]).toMatchObject({ symbol: 'AAPL', strike: 100, timestamp: '2024-01-03T14:30:00.000Z' });
});

test.each(['historical-options/none', 'é', '\u202e', '../../secrets.json', 'a\u0000b'])(
  'an object that is not stored is 404: %j',
  async (key) => {
    for (const suffix of ['', '/data']) {
      const { status, body } = await mesh.operator.get(pathOf(key, suffix));
      expect([status, body.code]).toEqual([404, 'object.unknown']);
    }
  },
);

test('a cursor that is no key is refused', async () => {
  const { status, body } = await mesh.operator.get(`/v1/history/objects?cursor=${encodeURIComponent('é')}`);
  expect([status, body.code]).toEqual([400, 'history.bad_cursor']);
});

test.each([
  'objects?limit=',
  'objects/none?rows=',
  `chain?root=AAPL&at=${DAY}T20:00:00Z&cursor=`,
  `chain?root=AAPL&at=${DAY}T20:00:00Z&max_dte=`,
  `coverage?root=AAPL&dataset=option&schema=eod&from=${DAY}&to=${DAY}&base_pct=`,
])('a number of a query is written in digits: %s', async (path) => {
  for (const text of ['0x10', '1e1', ' 5', '+5', '٥', ''])
    expect((await mesh.operator.get(`/v1/history/${path}${encodeURIComponent(text)}`)).body.code, text).toBe('request.invalid');
  expect((await mesh.operator.get(`/v1/history/${path}5`)).body.code).not.toBe('request.invalid');
});

describe('the file', () => {
  test('comes whole, byte for byte, with its sha256 as its ETag', async () => {
    const { status, headers, body } = await bytes(row.object.key);
    expect(status).toBe(200);
    expect(body.equals(fileOf(row))).toBe(true);
    expect(createHash('sha256').update(body).digest('hex')).toBe(row.sha256);
    expect(headers.get('etag')).toBe(`"${row.sha256}"`);
    expect(headers.get('accept-ranges')).toBe('bytes');
    expect(headers.get('content-disposition')).toContain('AAPL-option-quote-15m-2024-01-03.parquet');
  });

  test.each([
    ['bytes=0-3', 0, 4],
    ['bytes=4-', 4, undefined],
    ['bytes=-8', -8, undefined],
    ['bytes=10-999999999', 10, undefined],
  ])('comes in part for the range %s', async (range, start, end) => {
    const whole = fileOf(row);
    const { status, headers, body } = await bytes(row.object.key, { range });
    expect(status).toBe(206);
    expect(body.equals(whole.subarray(start, end))).toBe(true);
    expect(headers.get('content-range')).toMatch(new RegExp(`^bytes \\d+-\\d+/${whole.length}$`));
  });

  test('a range behind its end is 416, and says how long it is', async () => {
    const { status, headers, body } = await bytes(row.object.key, { range: 'bytes=999999999-' });
    expect(status).toBe(416);
    expect(headers.get('content-range')).toBe(`bytes */${row.bytes}`);
    expect(JSON.parse(body.toString())).toMatchObject({ status: 416, code: 'request.range_not_satisfiable' });
  });

  test('that is the same is 304; a range of one that has changed comes whole', async () => {
    expect(await bytes(row.object.key, { 'if-none-match': `"${row.sha256}"` })).toMatchObject({ status: 304 });
    expect(await bytes(row.object.key, { 'if-none-match': '"other"' })).toMatchObject({ status: 200 });
    expect(await bytes(row.object.key, { range: 'bytes=0-3', 'if-range': '"other"' })).toMatchObject({ status: 200 });
    expect(await bytes(row.object.key, { range: 'bytes=0-3', 'if-range': `"${row.sha256}"` })).toMatchObject({ status: 206 });
  });
});

test('coverage says of each day whether it is stored', async () => {
  const { body } = await mesh.operator.get(
    '/v1/history/coverage?root=aapl&dataset=option&schema=quote&interval=900000&from=20240101&to=20240105',
  );
  expect(body.days.map(({ date, state }: { date: string; state: string }) => `${date} ${state}`)).toEqual([
    '2024-01-01 closed',
    '2024-01-02 complete',
    '2024-01-03 complete',
    '2024-01-04 complete',
    '2024-01-05 missing',
  ]);
  expect(body.counts).toMatchObject({ complete: 3, missing: 1, closed: 1 });
});

describe('the chain at a moment', () => {
  test('has the last quote of each contract at or before it', async () => {
    const { status, body } = await mesh.operator.get(`/v1/history/chain?root=AAPL&at=${DAY}T14:31:30Z`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ day: DAY, key: row.object.key, contracts: 8, next: null, underlying: null });
    expect(new Set(body.rows.map(({ timestamp }: { timestamp: string }) => timestamp))).toEqual(new Set([`${DAY}T14:31:00.000Z`]));
  });

  test('comes in pages', async () => {
    const seen: string[] = [];
    for (let cursor = ''; ; ) {
      const { body } = await mesh.operator.get(`/v1/history/chain?root=AAPL&at=${DAY}T20:00:00Z&limit=3${cursor}`);
      seen.push(...body.rows.map((one: Record<string, unknown>) => `${one.expiration} ${one.strike} ${one.right}`));
      if (body.next === null) break;
      cursor = `&cursor=${body.next}`;
    }
    expect(seen).toHaveLength(8);
    expect(new Set(seen).size).toBe(8);
  });

  test('is filtered by the close of the underlying, and says how to get that', async () => {
    const asked = `/v1/history/chain?root=AAPL&at=${DAY}T20:00:00Z&max_dte=15&base_pct=0.5`;
    const without = await mesh.operator.get(asked);
    expect([without.status, without.body.code]).toEqual([422, 'history.no_underlying']);
    await mesh.db.run(
      "INSERT INTO bars (symbol, date, open, high, low, close, adjusted_close, volume, source, as_of) VALUES ('AAPL', ?, 100, 100, 100, 100, 100, 1, 'simulated', NOW())",
      [DAY],
    );
    const { status, body } = await mesh.operator.get(asked);
    expect([status, body.underlying]).toEqual([200, 100]);
    // The invented contracts expire 1, 8, 15, … days later, with a strike of 100.
    expect(body.contracts).toBe(3);
  });

  test('of a day without data is 404, with the command that downloads it', async () => {
    const { status, body } = await mesh.operator.get('/v1/history/chain?root=AAPL&at=2024-02-01T20:00:00Z');
    expect([status, body.code]).toEqual([404, 'history.unknown']);
    expect(body.detail).toContain('history option AAPL --from 2024-02-01');
  });
});

describe('an export', () => {
  const asked = '/v1/history/export?root=AAPL&dataset=option&schema=quote&interval=15m';

  test('is the rows of all days under one header', async () => {
    const { status, headers, body } = await mesh.operator.get(`${asked}&from=2024-01-02&to=2024-01-04`);
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/csv; charset=utf-8');
    const lines = (body as string).trimEnd().split('\n');
    expect(lines).toHaveLength(1 + 3 * 32);
    expect(lines.filter((line) => line.startsWith('symbol,'))).toHaveLength(1);
  });

  test('answers HEAD with its name and its kind, and with no length that it has not', async () => {
    const { status, headers } = await fetch(`${mesh.gateway.url}${asked}&from=2024-01-02&to=2024-01-04`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${mesh.operator.key}` },
    });
    expect([status, headers.get('content-type'), headers.get('content-length')]).toEqual([200, 'text/csv; charset=utf-8', null]);
    expect(headers.get('content-disposition')).toContain('AAPL-option-quote-2024-01-02-2024-01-04.csv');
  });

  test('of a range with days that are missing is refused, unless gaps are allowed', async () => {
    const { status, body } = await mesh.operator.get(`${asked}&from=2024-01-02&to=2024-01-05`);
    expect([status, body.code]).toEqual([409, 'history.incomplete']);
    expect(body.detail).toContain('2024-01-05');
    const allowed = await mesh.operator.get(`${asked}&from=2024-01-02&to=2024-01-05&allow_gaps=true`);
    expect((allowed.body as string).trimEnd().split('\n')).toHaveLength(1 + 3 * 32);
  });
});

describe('a file that is not the one of the manifest is shown by no answer', () => {
  const fileName = (): string => join(mesh.folder, 'history', row.object.key);
  const kept = (): string => `${fileName()}.kept`;
  beforeEach(() => {
    copyFileSync(fileName(), kept());
    return () => {
      copyFileSync(kept(), fileName());
      rmSync(kept());
    };
  });
  const reads = {
    'its columns': pathOf('KEY'),
    'its bytes': pathOf('KEY', '/data'),
    'the chain': `/v1/history/chain?root=AAPL&at=${DAY}T20:00:00Z`,
    'the export': `/v1/history/export?root=AAPL&dataset=option&schema=quote&interval=15m&from=${DAY}&to=${DAY}`,
  };
  const damages: Record<string, () => void> = {
    cut: () => truncateSync(fileName(), row.bytes - 100),
    gone: () => rmSync(fileName()),
    // Whole, and readable, but of another day.
    foreign: () => copyFileSync(join(mesh.folder, 'history', rows[2]!.object.key), fileName()),
    'changed within': () => {
      const bytes = fileOf(row);
      bytes[100]! ^= 1;
      writeFileSync(fileName(), bytes);
    },
  };
  for (const [damage, doIt] of Object.entries(damages))
    test.each(Object.entries(reads))(`${damage}: %s`, async (_, path) => {
      doIt();
      const { status, body } = await mesh.operator.get(path.replace('KEY', encodeURIComponent(row.object.key)));
      expect([status, body.code]).toEqual([422, 'objects.damaged']);
      expect(body.detail).toContain(row.object.key);
      expect(body.detail).toContain('history verify AAPL');
      expect(body.detail).toContain(`history option AAPL --from ${DAY} --to ${DAY} --schema quote --interval 15m --force`);
    });

  test('no part of it comes either', async () => {
    truncateSync(fileName(), row.bytes - 1);
    const { status, body } = await bytes(row.object.key, { range: 'bytes=0-3' });
    expect([status, JSON.parse(body.toString()).code]).toEqual([422, 'objects.damaged']);
  });

  test('its bytes may come later while a job replaces it', async () => {
    const { body } = await mesh.operator.post('/v1/historical/option', {
      ...{ root: 'AAPL', start_date: DAY, end_date: DAY, schema: 'quote', force_refresh: true },
    });
    const {
      jobs: [job],
    } = await claim(mesh.ledger, 'worker-7', 1);
    expect(job!.id).toBe(body.job_id);
    await takeClaim(mesh.db, { key: row.object.key, job: job! });
    truncateSync(fileName(), row.bytes - 1);
    const answer = await mesh.operator.get(pathOf(row.object.key, '/data'));
    expect(answer).toMatchObject({ status: 503, body: { code: 'objects.changed' } });
  });

  test.each(Object.entries(reads))('a copy without its times is the same file: %s', async (_, path) => {
    utimesSync(fileName(), 1_000, 1_000);
    expect((await mesh.operator.get(path.replace('KEY', encodeURIComponent(row.object.key)))).status).toBe(200);
  });
});
