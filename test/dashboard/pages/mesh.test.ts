/** The first page: what it says of the past, under a burst, on a wall, by keyboard, and to a key of one user. */
import { randomUUID } from 'node:crypto';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import type { Draft } from '../../../services/platform/messages.ts';
import { HOUR_S, type MeshStats, writeStats } from '../../../services/platform/monitoring/mesh-stats.ts';
import { reportInstance } from '../../../services/platform/registry/instances.ts';
import { journey, journeys, SCREENS } from '../support/journeys.ts';
import { countPaints } from '../support/paints.ts';

const { mesh, openAs } = journeys();
const HOUR_MS = HOUR_S * 1000;
const live = (page: Page) => page.getByText('Live', { exact: true }).waitFor();

const hour = (at: number, ready: number): MeshStats => ({
  ...{ at: new Date(at), minutes: 60, ready, running: 0, scheduled: 0, blocked: 0, oldest_s: null, enqueued: 60, completed: 60, failed: 0 },
  ...{ workers: 1, slots: 5, busy: 1, logins: 0 },
  details: {
    queues: { foreground: { ready, running: 0, oldest_s: null } },
    ...{ types: {}, codes: {}, sources: {}, wait: [], run: [], login_fresh: [] },
  },
});

const status = (number: number): Draft<'status'> => ({
  id: `0199aaaa-0000-7000-8000-${String(number).padStart(12, '0')}`,
  type: 'fetch',
  symbol: 'AAPL',
  state: 'running',
  attempt: 1,
  at: new Date().toISOString(),
});

journey('after a reload 30 days are there at once, and an outage of three days is a gap', async () => {
  const now = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  const isOutage = (hours: number): boolean => hours > 240 && hours <= 312;
  for (let hours = 1; hours <= 719; hours++) if (!isOutage(hours)) await writeStats(mesh.db, HOUR_S, hour(now - hours * HOUR_MS, hours));
  const { page, faults, expectClean } = await openAs('/ui/mesh?span=30d');
  const chart = page.getByRole('img', { name: /^Ready jobs by queue/ });
  await chart.waitFor();
  await page.reload();
  await page.getByRole('img', { name: /foreground: last .*, highest 71\d/ }).waitFor();
  // As it is drawn: in the middle of the outage no pixel of the line's column is coloured, ten days before it one is.
  expect(await inkAt(page, (720 - 276) / 720)).toBe(false);
  expect(await inkAt(page, (720 - 500) / 720)).toBe(true);
  // About the reading of pixels by this test.
  faults.splice(0, faults.length, ...faults.filter((text) => !text.includes('Canvas2D')));
  await expectClean();
});

/** Whether the line of the first chart has colour at a share of its width. As text: the tests know no document. */
const inkAt = (page: Page, share: number): Promise<boolean> =>
  page.evaluate(`(() => {
    const canvas = document.querySelector('.charts canvas');
    const [outer, inner] = [canvas, document.querySelector('.charts .u-over')].map((element) => element.getBoundingClientRect());
    const scale = canvas.width / outer.width;
    const px = (length) => Math.round(length * scale);
    const { data } = canvas.getContext('2d').getImageData(px(inner.left - outer.left + ${share} * inner.width) - 2, px(inner.top - outer.top), 5, px(inner.height - 4));
    for (let pixel = 0; pixel < data.length; pixel += 4) {
      const colours = [...data.slice(pixel, pixel + 3)];
      // The grid is grey, the line is blue.
      if (data[pixel + 3] > 120 && Math.max(...colours) - Math.min(...colours) > 60) return true;
    }
    return false;
  })()`);

journey('a burst of 1,000 changes a second is drawn at most five times a second, and the page answers meanwhile', async () => {
  const { page, expectClean } = await openAs('/ui/mesh');
  await live(page);
  const seconds = 4;
  const painted = countPaints(page, seconds);
  let sent = 0;
  const begin = performance.now();
  while (performance.now() - begin < seconds * 1000) {
    const due = Math.floor(performance.now() - begin);
    await Promise.all(Array.from({ length: Math.max(0, due - sent) }, () => mesh.bus.publish('status', status(sent++ % 5_000))));
    await new Promise((done) => setTimeout(done, 10));
  }
  const { paints } = await painted;
  expect(paints / seconds).toBeLessThanOrEqual(5);
  await page.getByRole('textbox', { name: 'Text in the message' }).fill('no such text');
  await page.getByText('No message matches').waitFor();
  await expectClean();
});

journey('the feed holds still under the pointer, and shows what came when it leaves', async () => {
  const { page } = await openAs('/ui/mesh');
  await live(page);
  const feed = page.getByRole('log');
  await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'IBM', analyse: false });
  await feed.getByText(/fetch IBM completed/).waitFor();
  await feed.hover();
  await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false });
  await page.getByText(/new, held while you read/).waitFor();
  expect(await feed.getByText(/fetch AAPL completed/).count()).toBe(0);
  await page.getByRole('heading', { name: 'Mesh', level: 1 }).hover();
  await feed.getByText(/fetch AAPL completed/).click();
  await page.waitForURL(/\/ui\/jobs\/[0-9a-f-]{36}/);
});

journey('the keys: ? explains, p holds the page, / finds, and the focus comes back', async () => {
  const { page, expectClean } = await openAs('/ui/mesh');
  await live(page);
  await page.getByRole('button', { name: 'Help: keys and marks' }).focus();
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Help' }).waitFor();
  await expectClean();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog', { name: 'Help' }).waitFor({ state: 'detached' });
  await expect.poll(() => page.evaluate('document.activeElement.title')).toBe('Help (?)');
  await page.keyboard.press('p');
  await page.getByText(/^Paused, data as of/).waitFor();
  await page.keyboard.press('p');
  await live(page);
  await page.keyboard.press('/');
  await page.getByRole('dialog', { name: 'Find' }).waitFor();
});

journey('times are written as they are chosen, on all pages and after a reload', async () => {
  await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false });
  const { page, expectClean } = await openAs('/ui/mesh');
  await page.getByRole('button', { name: /▾/ }).click();
  await page.getByRole('radio', { name: 'UTC' }).waitFor();
  await expectClean();
  await page.getByRole('radio', { name: 'UTC' }).check();
  await page
    .getByText(/at \d\d:\d\d:\d\d UTC/)
    .first()
    .waitFor();
  await page.reload();
  await page
    .getByText(/at \d\d:\d\d:\d\d UTC/)
    .first()
    .waitFor();
});

journey('the panel of instances says what a worker is able to run', async () => {
  const at = new Date();
  await reportInstance(mesh.db, {
    ...{ instance: 'worker-eu-1', service: 'worker', session: randomUUID(), capabilities: ['region:eu'], capacity: 4, running: 0 },
    ...{ started_at: at, heartbeat_at: at, clock_offset_s: 0 },
  });
  const { page, expectClean } = await openAs('/ui/mesh');
  await page.getByRole('cell', { name: 'worker region:eu' }).waitFor();
  await expectClean();
});

journey('a screen on the wall has no navigation, and all of it fits', async () => {
  const { page, expectClean } = await openAs('/ui/mesh?wall=1', undefined, { viewport: { width: 1920, height: 1080 } });
  await page.getByText('● live').waitFor();
  await page.getByRole('img', { name: /^Login to fresh/ }).waitFor();
  expect(await page.getByRole('navigation').count()).toBe(0);
  expect(await page.evaluate('document.documentElement.scrollHeight <= window.innerHeight')).toBe(true);
  await expectClean();
});

journey('the key of one user begins at its portfolio, and is told why it sees no mesh', async () => {
  await mesh.operator.put('/v1/users/alice/portfolio', { positions: [{ symbol: 'AAPL', quantity: 10, cost: 100 }] });
  const { key } = await mesh.caller('user:alice');
  const { page, expectClean } = await openAs('/ui/', key);
  await page.waitForURL(/\/ui\/portfolios\/alice/);
  await page.getByRole('link', { name: 'AAPL' }).first().waitFor();
  await expectClean();
  await page.goto('/ui/mesh');
  await page
    .getByRole('alert')
    .getByText(/lacks the scope "read"/)
    .waitFor();
  await expectClean();
});

journey('a raised alert says what to do, opened by keyboard; one that is over does not, and a wall has nothing to press', async () => {
  await mesh.db.run(
    `INSERT INTO alerts (name, state, value, threshold, since, text) VALUES
      ('max_job_age', 'raised', 900, 600, NOW(3), 'a job has waited for 900 s'), ('max_queue_depth', 'cleared', 1, 2, NOW(3), 'the queue is short again')`,
  );
  const { page, expectClean } = await openAs('/ui/mesh');
  const alerts = page.getByRole('group', { name: 'Alerts' });
  const summary = alerts.getByText('What to do', { exact: true });
  await summary.waitFor();
  expect(await summary.count()).toBe(1);
  await summary.focus();
  await page.keyboard.press('Enter');
  // Of the row of this alert in services/platform/registry/alert-advice.ts.
  await alerts.getByText('Start more workers, or find what keeps them busy.').waitFor();
  await alerts.getByText('npx stockmesh jobs --state running').waitFor();
  await alerts.getByRole('button', { name: 'Copy command' }).waitFor();
  await expectClean();
  await page.goto('/ui/mesh?wall=1');
  await page.getByText('a job has waited for 900 s').first().waitFor();
  expect(await page.getByText('What to do', { exact: true }).count()).toBe(0);
  await expectClean();
});

journey('on a phone the advice of an alert wraps inside the page', async () => {
  await mesh.db.run(
    "INSERT INTO alerts (name, state, value, threshold, since, text) VALUES ('max_job_age', 'raised', 900, 600, NOW(3), 'a job has waited for 900 s')",
  );
  const { page, expectClean } = await openAs('/ui/mesh', undefined, SCREENS['phone, dark']);
  await page.getByText('What to do', { exact: true }).click();
  const advice = page.getByText('Start more workers, or find what keeps them busy.');
  await advice.waitFor();
  const box = (await advice.boundingBox())!;
  expect(box.width).toBeGreaterThan(100);
  expect(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')).toBe(0);
  await expectClean();
});
