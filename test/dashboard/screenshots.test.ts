/**
 * The pictures of the README: the made-up market with its seed, on a clock that stands still, so that the same build gives the same picture. `npm run screenshots` takes all of
 * them into docs/pictures; without `STOCKMESH_PICTURES` one is taken, twice, and compared. A page is a line of `PICTURES`.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { storeReports } from '../../services/picks/store/reports.ts';
import { ManualClock } from '../../services/platform/clock.ts';
import { bucketsOf } from '../../services/platform/monitoring/buckets.ts';
import { type MeshStats, MINUTE_S, writeStats } from '../../services/platform/monitoring/mesh-stats.ts';
import { reportFor } from '../picks/report/invented-report.ts';
import { journey, journeys } from './support/journeys.ts';

/** By the name of the file: the address, what stands on the page when it is there, and how much of it is taken. */
const PICTURES: Record<string, { path: string; shows: string | RegExp; height?: number }> = {
  mesh: { path: '/ui/mesh', shows: /at 16:29:00/ },
  jobs: { path: '/ui/jobs', shows: /\d+ shown/ },
  portfolio: { path: '/ui/portfolios/alice', shows: /fresh after/ },
  symbol: { path: '/ui/symbols/AAPL', shows: 'Analysis', height: 720 },
  options: { path: '/ui/options/AAPL', shows: '#1 of', height: 640 },
  picks: { path: '/ui/picks/alice', shows: 'Track record', height: 600 },
  admin: { path: '/ui/admin/schedules', shows: 'weekly picks' },
};
const MOST_BYTES = 150_000;

/** A Tuesday, an hour after the exchange has opened. */
const NOW = new Date('2026-06-02T14:30:00Z');
const folder = process.env.STOCKMESH_PICTURES;
const taken = Object.entries(PICTURES).filter(([name]) => folder !== undefined || name === 'mesh');

const { mesh, openAs } = journeys({ 'ranking.chains.sources': ['simulated'] }, { clock: new ManualClock(NOW.toISOString()) });

const HOLDINGS = [
  { symbol: 'AAPL', quantity: 120, cost: 41.2 },
  { symbol: 'SPY', quantity: 60, cost: 38.5 },
  { symbol: 'QQQ', quantity: 45, cost: 33.1 },
  { symbol: 'IBM', quantity: 30, cost: 24.75 },
];

/** A minute of a morning on which people sign in one after the other. */
function minute(back: number): MeshStats {
  const wave = 1 + Math.sin(back / 6) + Math.sin(back / 17);
  const ended = Math.round(20 + 14 * wave);
  return {
    ...{
      at: new Date(NOW.getTime() - back * MINUTE_S * 1000),
      minutes: 1,
      ready: Math.round(4 * wave),
      running: 2,
      scheduled: 0,
      blocked: 0,
    },
    ...{
      oldest_s: null,
      enqueued: ended,
      completed: ended,
      failed: back % 23 === 0 ? 1 : 0,
      workers: 1,
      slots: 5,
      busy: Math.round(1 + wave),
      logins: 4,
    },
    details: {
      queues: {
        foreground: { ready: Math.round(2 * wave), running: 2, oldest_s: null },
        background_fetch: { ready: Math.round(1.5 * wave), running: 0, oldest_s: null },
        background_analysis: { ready: back % 9 === 0 ? 1 : 0, running: 0, oldest_s: null },
      },
      flow: { foreground: { in: ended - 6, out: ended - 6 }, background_fetch: { in: 6, out: 6 } },
      ...{ types: {}, codes: {}, sources: {}, wait: [], run: [] },
      login_fresh: bucketsOf([0.3 + wave / 20, 0.35 + wave / 20, 0.4 + wave / 10, 0.8 + wave / 5]),
    },
  };
}

async function fill(): Promise<void> {
  for (let back = 1; back <= 60; back++) await writeStats(mesh.db, MINUTE_S, minute(back));
  await mesh.operator.put('/v1/users/alice/portfolio', { positions: HOLDINGS });
  await mesh.operator.post('/v1/events/login', { userId: 'alice' });
  await expect
    .poll(async () => (await mesh.db.rows("SELECT 1 FROM job_states WHERE state NOT IN ('completed')")).length, { timeout: 20_000 })
    .toBe(0);
  // A worker tells of its sources every few seconds.
  await expect.poll(async () => (await mesh.operator.get('/v1/sources')).body.sources[0].state, { timeout: 20_000 }).toBe('ok');
  // Which of them came first, and how long it took, is a matter of luck.
  await mesh.db.run('UPDATE ended e JOIN jobs j ON j.id = e.job_id SET e.started_at = j.enqueued_at, e.ended_at = j.enqueued_at');
  await mesh.db.run("UPDATE ended SET result = JSON_SET(result, '$.ms', 70) WHERE JSON_EXTRACT(result, '$.ms') IS NOT NULL");
}

/** What the pages beside the first ones show. */
async function fillRest(): Promise<void> {
  await mesh.operator.post('/v1/rankings', { symbol: 'AAPL', mode: 'entry' });
  const report = { ...reportFor(), user_id: 'alice', week_of: '2026-06-01', version: 1 };
  await mesh.db.transaction((tx) => storeReports(tx, [{ report, jobId: Buffer.alloc(16), eligible: ['AAPL'] }]));
  await expect.poll(async () => (await mesh.operator.get('/v1/jobs?type=rank')).body.jobs[0].state, { timeout: 20_000 }).toBe('completed');
}

async function take({ path, shows, height = 900 }: (typeof PICTURES)[string]): Promise<{ picture: Buffer; text: string }> {
  const { page, context } = await openAs('/ui/no-such-page');
  await page.clock.setFixedTime(NOW);
  await page.setViewportSize({ width: 1280, height });
  await page.goto(path);
  await page.locator('main').getByText(shows).first().waitFor();
  await settled(page);
  const picture = await page.screenshot({ animations: 'disabled', caret: 'hide' });
  // Not the feed, which begins with what happens while the page is opened.
  const text = (await page.locator('.verdict, .tile, table, dl, .chart-keys').allTextContents()).join('\n');
  await context.close();
  return { picture, text };
}

/** When no request is under way, the fonts are there and two frames were alike. */
async function settled(page: Page): Promise<void> {
  await page.getByText('Live', { exact: true }).waitFor();
  await page.evaluate('document.fonts.ready');
  let before: Buffer | undefined;
  await expect
    .poll(
      async () => {
        const now = await page.screenshot();
        const isSame = before?.equals(now) ?? false;
        before = now;
        return isSame;
      },
      { timeout: 10_000, interval: 300 },
    )
    .toBe(true);
}

journey(
  'the pictures are small, and the same each time',
  async () => {
    await fill();
    if (folder !== undefined) await fillRest();
    for (const [name, one] of taken) {
      const { picture, text } = await take(one);
      expect([name, picture.length]).toEqual([name, expect.toSatisfy((bytes: number) => bytes < MOST_BYTES)]);
      const again = await take(one);
      // Not the bytes: the browser smooths an edge now this way, now that.
      expect([name, again.text]).toEqual([name, text]);
      if (folder === undefined) continue;
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `${name}.png`), picture);
    }
  },
  120_000,
);
