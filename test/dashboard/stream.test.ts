/** What the page does while the mesh loses a part: a worker, the broker, the gateway. And many tabs of one browser. */
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';
import { accounts } from '../broker/peers.ts';
import { endProcess, startProcess } from '../faults/processes.ts';
import type { HeldWorker } from './support/held-worker.ts';
import { journey, journeys, SIMULATED } from './support/journeys.ts';

const { mesh, openAs, openTab, startWorker } = journeys({}, { worker: false });
const HELD = fileURLToPath(new URL('./support/held-worker.ts', import.meta.url));
const SYMBOLS = ['AAPL', 'MSFT', 'IBM', 'SPY', 'QQQ', 'NVDA'];

const fetchJob = async (symbol: string): Promise<string> =>
  (await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol, analyse: false })).body.jobs[0].id;
const live = (page: Page) => page.getByText('Live', { exact: true });
const instances = (page: Page) => page.getByRole('group', { name: 'Instances' });
const states = (page: Page): Promise<string[]> => page.getByRole('group', { name: 'Jobs' }).locator('tbody tr .mark').allTextContents();

journey('a worker that is killed leaves the page, and its job is ready, then done by another with two attempts', async () => {
  const broker = { port: mesh.broker.port, password: accounts.service!.password };
  const argument: HeldWorker = { database: mesh.database.options, broker, folder: mesh.folder, changes: SIMULATED };
  const worker = await startProcess(HELD, [JSON.stringify(argument)]);
  onTestFinished(() => endProcess(worker, 'SIGKILL'));
  const { page, expectClean } = await openAs('/ui/mesh');
  const id = await fetchJob('AAPL');
  const chip = instances(page).getByRole('link', { name: /fetch AAPL/ });
  await chip.waitFor();
  await endProcess(worker, 'SIGKILL');
  await chip.waitFor({ state: 'detached' });
  await page.getByText(/No worker is alive: 1 job waits/).waitFor();
  await page.goto(`/ui/jobs/${id}`);
  await page.locator('.page-head').getByText('ready').waitFor();
  await startWorker();
  await page.locator('.page-head').getByText('completed').waitFor();
  const attempts = page.getByRole('region', { name: 'Attempts' });
  await expect.poll(() => attempts.getByRole('row').filter({ hasText: 'worker-' }).count()).toBe(2);
  await expectClean();
});

journey('while the broker is away the page says so and asks; when it is back the page lives again, without a reload', async () => {
  const { page, expectClean } = await openAs('/ui/jobs');
  await live(page).waitFor();
  await page.evaluate('window.isFirst = true');
  const bringBack = await mesh.takeBrokerAway();
  await page.getByText(/Live updates paused, data as of \d\d:\d\d:\d\d/).waitFor();
  const asked = page.waitForRequest(/\/v1\/jobs\?/);
  await fetchJob('MSFT');
  await asked;
  await page.getByRole('link', { name: 'MSFT' }).first().waitFor();
  await bringBack();
  await live(page).waitFor();
  await fetchJob('IBM');
  // The list is read again after the gap, with this job or before it; later it is told as new.
  const news = page.getByRole('button', { name: /1 new/ });
  const row = page.getByRole('link', { name: 'IBM' });
  await news.or(row).first().waitFor();
  if (await news.isVisible()) await news.click();
  await row.first().waitFor();
  expect(await page.evaluate('window.isFirst')).toBe(true);
  await expectClean();
});

journey('after the gateway was started again no row stands twice and none is missing, against SQL', async () => {
  await startWorker();
  for (const symbol of SYMBOLS.slice(0, 3)) await fetchJob(symbol);
  const { page, faults } = await openAs('/ui/jobs');
  await live(page).waitFor();
  const gone = page.getByText(/Live updates paused/).waitFor();
  const restarted = mesh.restartGateway();
  await gone;
  await restarted;
  for (const symbol of SYMBOLS.slice(3)) await fetchJob(symbol);
  await live(page).waitFor();
  await expect
    .poll(async () => (await mesh.db.rows("SELECT 1 FROM job_states WHERE state <> 'completed'")).length, { timeout: 15_000 })
    .toBe(0);
  const news = page.getByRole('button', { name: /new – show/ });
  await expect
    .poll(async () => {
      if (await news.isVisible()) await news.click();
      return (await page.getByRole('group', { name: 'Jobs' }).locator('tbody tr').allTextContents()).length;
    })
    .toBe(SYMBOLS.length);
  await expect.poll(async () => (await states(page)).filter((text) => text.includes('completed')).length).toBe(SYMBOLS.length);
  const rows = await page.getByRole('group', { name: 'Jobs' }).locator('tbody a').allTextContents();
  expect(SYMBOLS.filter((symbol) => rows.filter((text) => text === symbol).length !== 1)).toEqual([]);
  // The browser writes each refused connection to the console.
  expect(faults.filter((text) => !/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|50\d/.test(text))).toEqual([]);
});

journey(
  'twelve tabs have one stream together, and all of them change',
  async () => {
    const first = await openAs('/ui/mesh');
    const tabs = [first];
    for (let tab = 1; tab < 12; tab++) tabs.push(await openTab(first, '/ui/mesh'));
    for (const { page } of tabs) await live(page).waitFor();
    await fetchJob('NVDA');
    await Promise.all(
      tabs.map(({ page }) =>
        page
          .getByRole('log')
          .getByText(/fetch NVDA completed/)
          .first()
          .waitFor(),
      ),
    );
    const { body } = await mesh.operator.get('/metrics');
    expect(/^stockmesh_event_streams .*$/m.exec(body)?.[0]).toBe('stockmesh_event_streams 1');
    await tabs[11]?.expectClean();
  },
  60_000,
);
