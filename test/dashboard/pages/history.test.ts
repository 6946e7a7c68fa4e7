/** Downloads in a browser: from a terminal that refuses a day, to a calendar without a hole. */
import type { Page } from 'playwright-core';
import { afterAll, expect } from 'vitest';
import { testChain } from '../../history/sources/theta/support/chain.ts';
import { startThetaV3 } from '../../history/sources/theta/support/theta-v3-server.ts';
import { journey, journeys, SCREENS } from '../support/journeys.ts';

// A free account has one request under way at once: the bar has steps that can be seen.
const terminal = await startThetaV3({ chain: testChain({ root: 'AAPL', expirations: 2, strikes: 3 }), answerMs: 50 });
afterAll(() => terminal.close());
const { mesh, openAs } = journeys({ 'history.sources': ['theta'], 'history.theta.url': terminal.url });

const WEEK = '/ui/history?root=AAPL&schema=quote&interval=30m&from=2024-01-02&to=2024-01-05&year=2024';
const day = (page: Page, text: string) => page.getByRole('button', { name: new RegExp(`^${text} 2024:`) });
const letterOf = (page: Page, text: string) => day(page, text).textContent();
/** A day that this meets fails at once. */
const refuse = (date: string) =>
  terminal.fault({ on: new RegExp(date), status: 418, text: 'no tea today', times: Number.POSITIVE_INFINITY });

journey('a download with a failing day comes to its end, is retried, and its day turns complete', { timeout: 60_000 }, async () => {
  refuse('2024-01-04');
  const { page, expectClean } = await openAs(WEEK);
  await page.getByText('Live', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Dry run' }).click();
  expect(await page.getByTestId('objects').textContent()).toMatch(/^4 new · 0 there · 0 without data/);
  expect((await mesh.operator.get('/v1/jobs?type=history')).body.jobs).toEqual([]);
  await page.getByRole('button', { name: 'Start the download' }).click();

  const bar = page.getByRole('progressbar', { name: /AAPL option quotes 30m/ });
  await expect.poll(() => bar.getAttribute('aria-valuenow'), { timeout: 15_000 }).toBe('4');
  expect([await bar.getAttribute('aria-valuemax'), await bar.getAttribute('aria-valuetext')]).toEqual(['4', '3 done · 1 failed of 4']);
  await page.getByText(/no tea today/).waitFor();
  const letters = () => Promise.all(['Mon 1 Jan', 'Tue 2 Jan', 'Thu 4 Jan', 'Mon 8 Jan'].map((text) => letterOf(page, text)));
  await expect.poll(letters).toEqual(['·', 'C', 'F', 'M']);
  await expectClean();

  terminal.clearFaults();
  await page.getByRole('button', { name: 'Retry these 1' }).click();
  await expect.poll(() => bar.getAttribute('aria-valuetext'), { timeout: 15_000 }).toBe('4 done of 4');
  await expect.poll(() => letterOf(page, 'Thu 4 Jan'), { timeout: 15_000 }).toBe('C');
  const query = 'root=AAPL&dataset=option&schema=quote&interval=30m&from=2024-01-01&to=2024-01-05';
  expect((await mesh.operator.get(`/v1/history/coverage?${query}`)).body.counts).toMatchObject({ complete: 4, failed: 0 });
});

journey('the gaps of a year are shown with what they take, and filled', async () => {
  const { page } = await openAs('/ui/history?root=AAPL&dataset=stock&schema=eod&year=2024');
  await page.getByRole('button', { name: 'Fill the gaps' }).click();
  // The New York Stock Exchange had 252 trading days in 2024; a year of reports is one object.
  await page.getByText('252 days', { exact: true }).waitFor();
  expect(await page.getByTestId('objects').textContent()).toMatch(/^1 new/);
  await page.getByRole('button', { name: 'Fill them' }).click();
  await expect.poll(() => letterOf(page, 'Tue 31 Dec'), { timeout: 20_000 }).toBe('C');
  await page.getByText('Nothing that another download could bring.').waitFor();
});

journey('by keyboard: the arrows lead to a day, Enter shows its file, Escape leads back', { timeout: 60_000 }, async () => {
  const { body } = await mesh.operator.post('/v1/historical/option?mode=sync', {
    ...{ root: 'AAPL', schema: 'quote', interval: '30m', start_date: '2024-01-03', end_date: '2024-01-03' },
  });
  expect(body.status).toBe('completed');
  const { page, expectClean } = await openAs(WEEK);
  await day(page, 'Tue 2 Jan').focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Wed 3 Jan 2024' });
  await dialog.getByRole('group', { name: 'First rows of the object' }).waitFor();
  await dialog.getByText(/^Schema: \d+ columns$/).waitFor();
  const file = await dialog.getByRole('link', { name: 'Download the Parquet file' }).getAttribute('href');
  expect((await mesh.operator.get(file as string)).body.slice(0, 4)).toBe('PAR1');
  await expectClean();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  await expect.poll(() => page.evaluate("document.activeElement?.getAttribute('data-date')")).toBe('2024-01-03');
});

journey('a key without the scope jobs sees all of it, and starts nothing', async () => {
  const reader = await mesh.caller('read');
  const { page, expectClean } = await openAs(WEEK, reader.key, SCREENS['phone, dark']);
  await page.getByText('Nothing was downloaded yet').waitFor();
  await page.getByRole('button', { name: 'Dry run' }).click();
  const start = page.getByRole('button', { name: 'Start the download' });
  await start.waitFor();
  expect([await start.isDisabled(), await start.getAttribute('title')]).toEqual([true, expect.stringContaining('"jobs"')]);
  await expectClean();
  expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
});
