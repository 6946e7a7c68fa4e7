import { beforeEach, describe, expect, test } from 'vitest';
import { picksKey } from '../../../services/job-types/picks/request.ts';
import { idToBytes } from '../../../services/ledger/id.ts';
import { weekOf } from '../../../services/picks/report/week.ts';
import { storeReports } from '../../../services/picks/store/reports.ts';
import { reportFor } from '../../picks/report/invented-report.ts';
import { gatewayMesh } from '../mesh.ts';

const SECRET = 'a-secret-of-the-cron';
const mesh = gatewayMesh({
  'picks.cron_secret': SECRET,
  'picks.universe.lists': [{ name: 'one', symbols: ['AAPL'] }],
  'model.base_url': 'http://model.invalid/v1',
  'model.name': 'tester',
  'model.price_in': 2,
  'model.price_out': 10,
});
const withoutSecret = gatewayMesh();

beforeEach(async () => {
  for (const table of ['weekly_reports', 'profiles']) await mesh.db.run(`DELETE FROM ${table}`);
});

const cron = (url: string, secret?: string) =>
  fetch(`${url}/v1/cron/weekly-picks`, { method: 'POST', headers: secret === undefined ? {} : { authorization: `Bearer ${secret}` } });

const store = (version: number, week = '2026-01-05', user = 'alice') =>
  mesh.db.transaction((tx) =>
    storeReports(tx, [{ report: { ...reportFor(), user_id: user, week_of: week, version }, jobId: Buffer.alloc(16), eligible: ['AAPL'] }]),
  );

test('a user without a report has none, and the answer says which week is meant', async () => {
  const { status, body } = await mesh.operator.get('/v1/users/alice/picks');
  expect([status, body.data, body.metadata.status, body.metadata.this_week]).toEqual([200, null, 'none', weekOf(Temporal.Now.instant())]);
});

test('an earlier report is shown as what it is: of its own week, with what must stand beside it', async () => {
  await store(1);
  await store(2);
  const { metadata, data } = (await mesh.operator.get('/v1/users/alice/picks')).body;
  expect([metadata.week_of, metadata.version, metadata.is_current, data.version]).toEqual(['2026-01-05', 2, false, 2]);
  expect(metadata.not_advice).toBe('This is not investment advice.');
  expect(metadata.disclosures.map(({ text }: { text: string }) => text).join(' ')).toContain('This is not investment advice.');
});

test('a report of the week that was asked for is current', async () => {
  await store(1);
  const { metadata } = (await mesh.operator.get('/v1/users/alice/picks?week=2026-01-05')).body;
  expect([metadata.is_current, metadata.status]).toEqual([true, 'ready']);
});

test('all versions are listed, the newest first', async () => {
  await store(1);
  await store(2);
  await store(1, '2026-01-12');
  const { reports } = (await mesh.operator.get('/v1/users/alice/picks/history')).body;
  expect(reports.map(({ week_of, version }: { week_of: string; version: number }) => [week_of, version])).toEqual([
    ['2026-01-12', 1],
    ['2026-01-05', 2],
    ['2026-01-05', 1],
  ]);
  expect((await mesh.operator.get('/v1/users/alice/picks/history?before=2026-01-12')).body.reports.length).toBe(2);
});

test('everybody who gets a report is listed with the newest version of the newest week, in pages', async () => {
  for (const user of ['alice', 'bob', 'carol']) await mesh.operator.put(`/v1/users/${user}/profile`, {});
  await store(1, '2026-01-12');
  await store(2, '2026-01-12');
  await store(3);
  const { body } = await mesh.operator.get('/v1/picks?limit=2');
  expect(body.this_week).toBe(weekOf(Temporal.Now.instant()));
  expect(body.users.map(({ user, newest }: { user: string; newest: unknown }) => [user, newest])).toEqual([
    ['alice', expect.objectContaining({ week_of: '2026-01-12', version: 2, source: 'quant' })],
    ['bob', null],
  ]);
  const rest = (await mesh.operator.get(`/v1/picks?limit=2&cursor=${body.next}`)).body;
  expect([rest.users.map(({ user }: { user: string }) => user), rest.next]).toEqual([['carol'], null]);
});

test('the record names the weeks that have none, what is measured, and what must stand beside it', async () => {
  await store(1);
  const { status, body } = await mesh.operator.get('/v1/users/alice/picks/record');
  expect([status, body.index, body.not_advice]).toEqual([200, 'SPY', 'This is not investment advice.']);
  const [week] = body.horizons;
  expect([week.weeks, week.conclusive, week.returns[0].week_of]).toEqual([1, false, '2026-01-05']);
  expect(week.returns[0].picks.map(({ symbol, state }: { symbol: string; state: string }) => [symbol, state])).toEqual(
    reportFor().stock_picks.map(({ ticker }) => [ticker, 'open']),
  );
  expect(body.without[0]).toEqual({ week_of: '2026-01-12', reason: 'no_report' });
  expect(week.notes.join(' ')).toContain('hypothetical');
});

describe('the price', () => {
  const path = '/v1/users/alice/picks';
  test('is named by a dry run, which asks for nothing', async () => {
    const { status, body } = await mesh.operator.post(path, { dry_run: true });
    expect([status, body.model]).toEqual([200, 'tester']);
    // Two calls of 20,000 tokens at $2 and 6,000 at $10 a million.
    expect(body.price_usd).toBeCloseTo(0.2, 9);
    expect(await mesh.db.rows('SELECT id FROM jobs')).toEqual([]);
  });

  test('counts a call that may be made twice, and what the dearest of the last calls has cost', async () => {
    expect((await mesh.operator.post(path, { dry_run: true, pay_again: true })).body.price_usd).toBeCloseTo(0.3, 9);
    const columns =
      'intent_key, payment, purpose, job_id, attempt, state, reserved_micros, settled_micros, cost_source, provider, model_asked, request_hash';
    await mesh.db.run(
      `INSERT INTO spend (${columns}, price_in, price_out, reserved_at) VALUES ('picks:dear', 1, 'picks', '', 1, 'settled', 1, 250000, 'provider', 'p', 'tester', '', 1, 1, NOW(3))`,
    );
    expect((await mesh.operator.post(path, { dry_run: true })).body.price_usd).toBeCloseTo(0.5, 9);
    await mesh.db.run("DELETE FROM spend WHERE intent_key = 'picks:dear'");
  });

  test('must be agreed to', async () => {
    const { status, body } = await mesh.operator.post(path, {});
    expect([status, body.code]).toEqual([400, 'picks.price']);
    expect((await mesh.operator.post(path, { price_usd: 0.1 })).status).toBe(400);
    const agreed = await mesh.operator.post(path, { price_usd: 0.2 });
    expect([agreed.status, agreed.body.outcome]).toEqual([202, 'queued']);
    expect((await mesh.operator.get(path)).body.metadata).toMatchObject({ status: 'making', job: { id: agreed.body.job_id } });
  });

  test('is not for a user to pay again', async () => {
    const alice = await mesh.caller('user:alice');
    expect((await alice.post(path, { price_usd: 1, pay_again: true })).status).toBe(403);
    expect((await alice.post(path, { price_usd: 1 })).status).toBe(202);
  });
});

test('the last good report is shown while a new one is made, and when that fails, with the reason', async () => {
  const path = '/v1/users/alice/picks';
  await store(1, weekOf(Temporal.Now.instant()));
  const { job_id } = (await mesh.operator.post(path, { price_usd: 1 })).body;
  const making = (await mesh.operator.get(path)).body;
  expect([making.metadata.status, making.metadata.is_current, making.data.version]).toEqual(['making', true, 1]);
  await mesh.operator.post(`/v1/jobs/${job_id}/cancel`, {});
  const failed = (await mesh.operator.get(path)).body;
  expect([failed.metadata.status, failed.metadata.job.state, failed.data]).toEqual(['failed', 'cancelled', making.data]);
  expect(failed.metadata.job.reason).toEqual(expect.any(String));
});

test('what became of an earlier week is told, however many jobs came after', async () => {
  const earlier = '2026-01-05';
  const { job_id } = (await mesh.operator.post('/v1/users/alice/picks', { price_usd: 1 })).body;
  await mesh.operator.post(`/v1/jobs/${job_id}/cancel`, {});
  await mesh.db.run('UPDATE jobs SET dedupe_key = ? WHERE id = ?', [picksKey('alice', earlier), idToBytes(job_id)]);
  for (let version = 0; version < 11; version++) {
    const { body } = await mesh.operator.post('/v1/users/alice/picks', { price_usd: 1 });
    await mesh.operator.post(`/v1/jobs/${body.job_id}/cancel`, {});
  }
  const { metadata } = (await mesh.operator.get(`/v1/users/alice/picks?week=${earlier}`)).body;
  expect([metadata.status, metadata.job?.id]).toEqual(['failed', job_id]);
});

test('the stale symbols of the universe are fetched before the report', async () => {
  const { body } = await mesh.operator.post('/v1/users/alice/picks', { price_usd: 1 });
  const rows = await mesh.db.rows<{ type: string }>('SELECT type FROM jobs ORDER BY type');
  expect(rows.map(({ type }) => type)).toEqual(['batch_fetch', 'picks', 'picks_universe', 'research']);
  expect((await mesh.operator.get(`/v1/jobs/${body.job_id}`)).body.blocked_on).toBe('dependency');
});

test('a profile is replaced, and what is left out has its default', async () => {
  const path = '/v1/users/alice/profile';
  expect((await mesh.operator.get(path)).body).toMatchObject({
    profile: { risk_tolerance: 'moderate', monthly_budget: 500 },
    changed_at: null,
  });
  await mesh.operator.put(path, { risk_tolerance: 'conservative', interests: ['Technology'] });
  expect((await mesh.operator.get(path)).body.profile).toMatchObject({
    risk_tolerance: 'conservative',
    interests: ['technology'],
    monthly_budget: 500,
  });
  expect((await mesh.operator.put(path, { risk_tolerance: 'brave' })).status).toBe(400);
});

describe('the weekly run by its secret', () => {
  test('is refused without it, with another one, and where none is set', async () => {
    const codes = [
      await cron(mesh.gateway.url),
      await cron(mesh.gateway.url, 'other'),
      await cron(withoutSecret.gateway.url, ''),
      await cron(withoutSecret.gateway.url, 'null'),
    ];
    expect(codes.map(({ status }) => status)).toEqual([401, 401, 401, 401]);
    expect(
      (
        await fetch(`${mesh.gateway.url}/v1/cron/weekly-picks`, {
          method: 'POST',
          headers: { authorization: `Bearer ${mesh.operator.key}` },
        })
      ).status,
    ).toBe(401);
  });

  test('makes a report for each user who has none this week, and sent twice it is one run', async () => {
    const week = weekOf(Temporal.Now.instant());
    for (const user of ['alice', 'bob', 'carol']) await mesh.operator.put(`/v1/users/${user}/profile`, {});
    await store(1, week, 'carol');
    expect(await (await cron(mesh.gateway.url, SECRET)).json()).toEqual({ week_of: week, queued: 2, joined: 0, refused: 0 });
    expect(await (await cron(mesh.gateway.url, SECRET)).json()).toEqual({ week_of: week, queued: 0, joined: 2, refused: 0 });
  });
});

describe('static mode', () => {
  const still = gatewayMesh({ 'picks.generation': false, 'picks.cron_secret': SECRET });

  test('shows the sample, which says that it is one and is of its own date', async () => {
    const { data, metadata } = (await still.operator.get('/v1/users/alice/picks')).body;
    expect([metadata.status, data.source, data.simulated, metadata.is_current, data.week_of]).toEqual([
      'sample',
      'sample',
      true,
      false,
      '2026-01-05',
    ]);
    expect(data.stock_picks.length).toBe(6);
    expect(metadata.disclosures[0].id).toBe('sample');
  });

  test('makes no report and costs nothing', async () => {
    await still.operator.put('/v1/users/alice/profile', {});
    expect(await (await cron(still.gateway.url, SECRET)).json()).toMatchObject({ queued: 0 });
    expect((await still.operator.post('/v1/users/alice/picks', { dry_run: true })).body.price_usd).toBe(0);
  });
});

test('a key of a user sees what the model cost for this user, and no totals', async () => {
  const columns =
    'intent_key, payment, purpose, user_id, job_id, attempt, state, reserved_micros, provider, model_asked, request_hash, price_in, price_out, reserved_at';
  for (const user of ['alice', 'bob'])
    await mesh.db.run(
      `INSERT INTO spend (${columns}) VALUES (?, 1, 'picks', ?, '', 1, 'unknown', 5000000, 'localhost', 'tester', '', 1, 1, NOW(3))`,
      [`picks:${user}`, user],
    );
  const alice = await mesh.caller('user:alice');
  const own = (await alice.get('/v1/spend')).body;
  expect([own.calls.map(({ user }: { user: string }) => user), own.totals]).toEqual([['alice'], []]);
  const all = (await mesh.operator.get('/v1/spend?state=unknown')).body;
  expect(all.calls.length).toBe(2);
  expect(all.totals).toContainEqual({ purpose: 'picks', window: 'day', spent_usd: 10, unknown_usd: 10, cap_usd: 10, calls: 2 });

  const settled = await mesh.operator.post(`/v1/spend/${all.calls[0].id}/settle`, { cost_usd: 0.5 });
  expect(settled.body).toMatchObject({ state: 'settled', cost_usd: 0.5, cost_source: 'operator' });
  expect((await mesh.operator.post(`/v1/spend/${all.calls[0].id}/settle`, { cost_usd: 0.5 })).body.code).toBe('spend.not_unknown');
});
