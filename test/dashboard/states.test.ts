/** What each page shows while its data come, when there are none, when they cannot be had, and when they are old. A page is a line of `PAGES`. */
import type { Page, Route } from 'playwright-core';
import { expect } from 'vitest';
import { storeReports } from '../../services/picks/store/reports.ts';
import { reportFor } from '../picks/report/invented-report.ts';
import { journey, journeys } from './support/journeys.ts';

interface Shown {
  /** The answer that the page is about. */
  asks: RegExp;
  /** What stands there when there is nothing to show. */
  empty: string | RegExp;
  /** What stands there when there is. */
  full: string | RegExp;
}

const PAGES: Record<string, Shown> = {
  '/ui/mesh': { asks: /\/v1\/alerts/, empty: 'No alert has been raised', full: 'the queue is full' },
  '/ui/jobs?type=fetch': { asks: /\/v1\/jobs\?/, empty: /No job/, full: 'AAPL' },
  '/ui/portfolios': { asks: /\/v1\/users/, empty: 'No portfolio yet', full: 'alice' },
  '/ui/portfolios/alice': { asks: /\/v1\/users\/alice\/portfolio/, empty: 'No holdings yet', full: 'AAPL' },
  '/ui/symbols/AAPL': { asks: /\/v1\/symbols\/AAPL/, empty: /never been fetched|Never fetched/, full: 'Analysis' },
  '/ui/options': { asks: /\/v1\/rankings\/symbols/, empty: /Nothing|No symbol/, full: 'AAPL' },
  '/ui/history': { asks: /\/v1\/history\/downloads/, empty: 'Nothing was downloaded yet', full: 'Nothing was downloaded yet' },
  '/ui/picks/alice': { asks: /\/v1\/users\/alice\/picks/, empty: 'No report yet', full: 'Track record' },
  '/ui/admin/keys': { asks: /\/v1\/keys/, empty: 'in force', full: 'in force' },
};
const pages = Object.entries(PAGES);

const { mesh, openAs } = journeys();

/** Something for each page. */
async function fill(): Promise<void> {
  await mesh.operator.put('/v1/users/alice/portfolio', { positions: [{ symbol: 'AAPL', quantity: 10, cost: 100 }] });
  await mesh.operator.post('/v1/events/login', { userId: 'alice' });
  await mesh.db.run(
    "INSERT INTO alerts (name, state, value, threshold, since, text) VALUES ('max_queue_depth', 'raised', 2, 1, NOW(3), 'the queue is full')",
  );
  const report = { ...reportFor(), user_id: 'alice', week_of: '2026-01-05', version: 1 };
  await mesh.db.run('DELETE FROM weekly_reports');
  await mesh.db.transaction((tx) => storeReports(tx, [{ report, jobId: Buffer.alloc(16), eligible: ['AAPL'] }]));
  await expect.poll(async () => (await mesh.operator.get('/v1/symbols/AAPL')).body.bar, { timeout: 15_000 }).toBeTruthy();
}

const problem = (status: number, title: string) => (route: Route) =>
  route.fulfill({
    status,
    contentType: 'application/problem+json',
    body: JSON.stringify({ type: 'about:blank', title, status, code: `test.${status}`, detail: `${title}, says the test.` }),
  });
const shows = (page: Page, text: string | RegExp) => page.locator('main').getByText(text).first().waitFor();

/** The browser writes each answer over 399 to the console; nothing else may stand there. */
const ANSWERS = /Failed to load resource: the server responded with a status of (4|5)\d\d/;

journey.for(pages)('%s: says that there is nothing, and what to do', async ([path, { empty }]) => {
  const watched = await openAs(path);
  await shows(watched.page, empty);
  await watched.expectClean(ANSWERS);
});

journey.for(pages)(
  '%s: lines while data come; what could not be read again stays and is called old; a fault has a code and a way on; what is forbidden has none',
  async ([path, { asks, full }]) => {
    await fill();
    const watched = await openAs('/ui/no-such-page');
    const { page } = watched;
    const { promise: free, resolve: answer } = Promise.withResolvers<void>();
    await page.route(asks, (route) => free.then(() => route.continue()));
    await page.goto(path);
    await page.getByRole('status', { name: 'Loading' }).first().waitFor();
    answer();
    await shows(page, full);
    await page.unroute(asks);

    await page.getByText('Live', { exact: true }).waitFor();
    await page.route(asks, problem(500, 'A fault of the gateway'));
    // Holding the page still and letting it live again reads all that is shown.
    await page.keyboard.press('p');
    await page.getByText(/^Paused, data as of/).waitFor();
    await page.keyboard.press('p');
    await page.getByText('Not read again: A fault of the gateway').first().waitFor();
    await shows(page, full);
    await watched.expectClean(ANSWERS);

    await page.reload();
    const fault = page.getByRole('alert').filter({ hasText: 'A fault of the gateway' }).first();
    await fault.getByText('test.500').waitFor();
    await watched.expectClean(ANSWERS);
    await page.unroute(asks);
    await fault.getByRole('button', { name: 'Try again' }).click();
    await shows(page, full);

    await page.route(asks, problem(403, 'The key lacks a scope'));
    await page.reload();
    const forbidden = page.getByRole('alert').filter({ hasText: 'The key lacks a scope' }).first();
    await forbidden.waitFor();
    expect(await forbidden.getByRole('button').count()).toBe(0);
  },
);
