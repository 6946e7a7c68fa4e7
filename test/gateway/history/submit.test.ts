/** Asking for downloads over HTTP. Trading days: 2014-2023 had 2,516 of them (NYSE), 2024 had 252. */
import { beforeEach, describe, expect, test } from 'vitest';
import { storeObjects } from '../../../services/history/manifest.ts';
import { objectOf, storedRow } from '../../history/manifest-rows.ts';
import { type Caller, gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({ 'gateway.quotas.jobs_per_key': 2 });
const YEAR = { root: 'AAPL', start_date: '2023-01-01', end_date: '2023-12-31', schema: 'quote', interval: 900_000 };
// A key of its own for each test: its quota is reckoned up in the gateway.
let caller: Caller;
beforeEach(async () => {
  caller = await mesh.caller('admin');
});
const post = (body: unknown, path = '/v1/historical/option') => caller.post(path, body);
const jobs = () => mesh.db.rows<{ id: Buffer }>("SELECT id FROM job_states WHERE type = 'history'");

test('a year is accepted with its job, the address of its state, and the number of its items', async () => {
  const { status, headers, body } = await post(YEAR);
  expect(status).toBe(202);
  expect(body).toEqual({
    status: 'accepted',
    job_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    message: 'the download of AAPL option quote 15m from 2023-01-01 to 2023-12-31 is queued',
    status_url: `/v1/jobs/${body.job_id}`,
    total_items: 250,
    outcome: 'queued',
  });
  expect(headers.get('location')).toBe(body.status_url);
  const job = await mesh.operator.get(body.status_url);
  expect(job.body).toMatchObject({ status: 'ready', progress: { completed: 0, total: 250, percentage: 0 }, items: { pending: 250 } });
});

test('a stock has its own path, and the earlier path of options answers the same', async () => {
  const stock = await post({ root: 'AAPL', start_date: '20200101', end_date: '20231231', schema: 'eod' }, '/v1/historical/stock');
  expect([stock.status, stock.body.total_items]).toEqual([202, 4]);
  const earlier = await post(YEAR, '/historical/option');
  expect(earlier.status).toBe(202);
  expect((await post({ ...YEAR, interval: '15m', start_date: '20230101' })).body).toMatchObject({
    job_id: earlier.body.job_id,
    outcome: 'joined',
  });
});

test('ten years are one job of the caller, whose parts do not count against its quota', async () => {
  const { status, body } = await post({ ...YEAR, start_date: '2014-01-01' });
  expect([status, body.total_items]).toEqual([202, 2_516]);
  expect((await jobs()).length).toBeGreaterThan(5);
  expect((await mesh.operator.get(body.status_url)).body.progress).toMatchObject({ total: 2_516 });
  expect((await post(YEAR)).status).toBe(202);
  const third = await post({ ...YEAR, root: 'MSFT' });
  expect([third.status, third.body.code, third.body.quota]).toEqual([429, 'quota.jobs', 'gateway.quotas.jobs_per_key']);
});

test('the filter of contracts is on when either of its fields is given, and is another download', async () => {
  const whole = await post(YEAR);
  const filtered = await post({ ...YEAR, max_dte: 45 });
  expect(filtered.body.job_id).not.toBe(whole.body.job_id);
  const { body } = await mesh.operator.get(`/v1/jobs/${filtered.body.job_id}`);
  expect(body.payload.filter).toEqual({ maxDte: 45, basePct: 0.1 });
});

describe('what is refused names its field', () => {
  const tomorrow = new Date(Date.now() + 2 * 86_400_000).toISOString().slice(0, 10);
  test.each([
    ['an end before the start', { start_date: '2023-12-31', end_date: '2023-01-01' }, 'end_date', /before start_date/],
    ['a day that is none', { start_date: '2023-02-30' }, 'start_date', /not a day/],
    ['a day that is no text', { start_date: 20230101 }, 'start_date', /string/],
    ['an interval under a minute', { interval: 1_000 }, 'interval', /shorter than a minute/],
    ['an interval that no source has', { interval: 120_000 }, 'interval', /no interval that the sources have/],
    ['an interval of words that is none', { interval: '2m' }, 'interval', /choose 1m, 5m, 10m, 15m, 30m, 1h/],
    ['an unknown schema', { schema: 'trade' }, 'schema', /quote/],
    ['an interval for the end of the day', { schema: 'eod' }, 'interval', /no other interval than 1d/],
    ['odd characters in a root', { root: '../etc' }, 'root', /symbol/],
    ['a day in the future', { end_date: tomorrow }, 'end_date', /in the future/],
    ['more than ten years', { start_date: '2013-12-30' }, 'start_date', /more than 10 years/],
    ['too few days to expiration', { max_dte: 0 }, 'max_dte', />=1/],
    ['too many days to expiration', { max_dte: 366 }, 'max_dte', /<=365/],
    ['no width of strikes', { base_pct: 0 }, 'base_pct', />0/],
    ['a priority that is none', { priority: 11 }, 'priority', /<=10/],
    ['a field that is not known', { intervall: 1 }, 'intervall', /not known/],
    ['a field that is missing', { root: undefined }, 'root', /^is missing: it must be string$/],
    ['a choice that is missing', { schema: undefined }, 'schema', /^is missing: it must be one of "quote"/],
    ['an empty key', { idempotency_key: '' }, 'idempotency_key', />=1/],
  ])('%s', async (_, change, field, text) => {
    const { status, body } = await post({ ...YEAR, ...change });
    expect([status, body.code]).toEqual([400, 'request.invalid']);
    expect(body.errors.map((one: { field: string }) => one.field)).toEqual([field]);
    expect(body.errors[0].message).toMatch(text);
    expect(await jobs()).toEqual([]);
  });

  test('a filter of contracts for a stock', async () => {
    const { status, body } = await post({ ...YEAR, max_dte: 30 }, '/v1/historical/stock');
    expect([status, body.errors[0].field]).toEqual([400, 'max_dte']);
  });

  test('a range without a trading day, by a dry run too', async () => {
    for (const path of ['/v1/historical/option', '/v1/historical/option?dry_run=true']) {
      const { status, body } = await post({ ...YEAR, start_date: '2023-12-30', end_date: '2023-12-31' }, path);
      expect([status, body.code]).toEqual([400, 'history.no_trading_day']);
    }
  });
});

describe('an idempotency key', () => {
  test('with the same body is the same job, also after its end', async () => {
    const asked = { ...YEAR, idempotency_key: 'k1' };
    const first = await post(asked);
    await mesh.operator.post(`/v1/jobs/${first.body.job_id}/cancel`);
    const second = await post(asked);
    expect([second.status, second.body.job_id, second.body.outcome]).toEqual([202, first.body.job_id, 'joined']);
    expect((await post(YEAR)).body.job_id).not.toBe(first.body.job_id);
  });

  test('with another body is 409, and nothing is asked for', async () => {
    await post({ ...YEAR, idempotency_key: 'k2' });
    const { status, body } = await post({ ...YEAR, root: 'MSFT', idempotency_key: 'k2' });
    expect([status, body.code]).toEqual([409, 'request.idempotency_conflict']);
    expect(await jobs()).toHaveLength(1);
  });

  test('of two requests at once with different bodies takes one', async () => {
    const answers = await Promise.all(['AAPL', 'MSFT'].map((root) => post({ ...YEAR, root, idempotency_key: 'k3' })));
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 409]);
    expect(await jobs()).toHaveLength(1);
  });

  test('is of the caller alone', async () => {
    const other = await mesh.caller('jobs');
    const first = await post({ ...YEAR, idempotency_key: 'k4' });
    const second = await other.post('/v1/historical/option', { ...YEAR, root: 'MSFT', idempotency_key: 'k4' });
    expect(second.status).toBe(202);
    expect(second.body.job_id).not.toBe(first.body.job_id);
  });
});

test('a dry run answers what would be done, and asks for nothing', async () => {
  const { status, body } = await post({ ...YEAR, start_date: '2014-01-01' }, '/v1/historical/option?dry_run=true');
  expect(status).toBe(200);
  expect(body).toMatchObject({ dry_run: true, total_items: 2_516, counts: { missing: 2_516 }, to_download: 2_516, estimated_rows: null });
  expect(body.objects[0]).toEqual({
    key: 'historical-options/quote/15m/root=AAPL/date=2014-01-02/data.parquet',
    days: 1,
    state: 'missing',
    expected: 'download',
    download: true,
    from: null,
  });
  expect(await jobs()).toEqual([]);
});

test('a caller that waits gets the finished job', async () => {
  const [first] = await Promise.all([
    post(YEAR, '/v1/historical/option?mode=sync'),
    (async () => {
      let id: string | undefined;
      while (id === undefined)
        ({
          body: {
            jobs: [{ id } = { id: undefined }] = [],
          },
        } = await mesh.operator.get('/v1/jobs?type=history'));
      await mesh.operator.post(`/v1/jobs/${id}/cancel`);
    })(),
  ]);
  expect(first.status).toBe(200);
  expect(first.body).toMatchObject({ status: 'cancelled', progress: { total: 250 } });
});

test('gaps are filled by a job for each range of them', async () => {
  const body = { dataset: 'option', root: 'AAPL', start_date: '2024-01-02', end_date: '2024-01-10', schema: 'quote', interval: '15m' };
  const first = await mesh.operator.post('/v1/history/gaps', body);
  expect(first.status).toBe(202);
  // 2 to 5 and 8 to 10 January 2024: a weekend is no gap in the range.
  expect(first.body).toMatchObject({ days: 7, jobs: [{ total_items: 7, outcome: 'queued' }] });
});

test('gaps over a quota are refused all together', async () => {
  const body = { dataset: 'option', root: 'AAPL', start_date: '2024-01-02', end_date: '2024-01-10', schema: 'quote', interval: '15m' };
  const dataset = { asset: 'option', schema: 'quote', interval: '15m', root: 'AAPL', filter: undefined } as const;
  const store = (day: string) => mesh.db.transaction((tx) => storeObjects(tx, [storedRow(objectOf(dataset, day), [day])]));
  // 2 and 3, 5, 9 and 10 January are missing: three jobs, of two that a key may have.
  await store('2024-01-04');
  await store('2024-01-08');
  const { status, body: refused } = await post(body, '/v1/history/gaps');
  expect([status, refused.quota]).toEqual([429, 'gateway.quotas.jobs_per_key']);
  expect(await jobs()).toEqual([]);
  await store('2024-01-05');
  const { body: taken } = await post(body, '/v1/history/gaps');
  expect(taken.days).toBe(4);
  expect(taken.jobs.map(({ total_items, outcome }: { total_items: number; outcome: string }) => [total_items, outcome])).toEqual([
    [2, 'queued'],
    [2, 'queued'],
  ]);
});
