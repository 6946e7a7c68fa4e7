/** Many jobs at once, and the way from the list to one job and back. */
import { expect } from 'vitest';
import { journey, journeys } from './support/journeys.ts';

// Without a worker, so that what waits is still there to be cancelled.
const { mesh, openAs } = journeys({}, { worker: false });

const SYMBOLS = ['AAPL', 'IBM', 'MSFT', 'NVDA', 'AMZN', 'META', 'TSLA', 'ORCL', 'INTC', 'CSCO', 'ADBE', 'NFLX'];

/** Fetches that failed, as many as asked, none of them doing the same work as another. */
async function failedJobs(number: number): Promise<void> {
  const symbols = Array.from({ length: number }, (_, at) => `T${at}`);
  for (let from = 0; from < number; from += 100) {
    const jobs = symbols.slice(from, from + 100).map((symbol) => ({ type: 'fetch', symbol, analyse: false }));
    const { status, body } = await mesh.operator.post('/v1/jobs', { jobs });
    expect(status, JSON.stringify(body)).toBe(202);
  }
  await mesh.db.run(
    "INSERT INTO ended (job_id, state, attempt, ended_at, code, reason) SELECT job_id, 'failed', 1, NOW(3), 'source.unknown_symbol', 'no such symbol' FROM ready",
  );
  for (const table of ['ready', 'live_keys']) await mesh.db.run(`DELETE FROM ${table}`);
  await mesh.db.run('DELETE FROM dedupe_windows');
}

const states = async (): Promise<Record<string, number>> => {
  const rows = await mesh.db.rows<{ state: string; jobs: number }>('SELECT state, COUNT(*) AS jobs FROM job_states GROUP BY state');
  return Object.fromEntries(rows.map(({ state, jobs }) => [state, Number(jobs)]));
};

journey('a job is opened, cancelled and left: filter, selection and place are still there, and a link shows the same', async () => {
  const jobs = SYMBOLS.flatMap((symbol) => [1, 2, 3, 4].map((at) => ({ type: 'fetch', symbol: `${symbol.slice(0, 3)}${at}` })));
  await mesh.operator.post('/v1/jobs', { jobs });
  const { page, expectClean } = await openAs('/ui/jobs?type=fetch&state=ready');
  const box = page.getByRole('group', { name: 'Jobs', exact: true });
  await page.getByLabel('Choose fetch IBM2').check();
  await page.getByLabel('Choose fetch AAP1').scrollIntoViewIfNeeded();
  const scrolled = await box.evaluate((element) => element.scrollTop);
  expect(scrolled).toBeGreaterThan(0);
  await page.getByRole('row').filter({ hasText: 'AAP1' }).getByRole('link', { name: 'fetch' }).click();
  await page.getByRole('button', { name: 'Cancel …' }).click();
  await page.getByRole('button', { name: 'Cancel the job' }).click();
  await page.locator('.page-head').getByText('cancelled').waitFor();
  await page.getByRole('link', { name: 'Back to the list' }).click();
  await page.getByLabel('Choose fetch IBM2').waitFor();
  expect(new URL(page.url()).search).toBe('?type=fetch&state=ready');
  expect(await page.getByLabel('Choose fetch IBM2').isChecked()).toBe(true);
  await expect.poll(() => box.evaluate((element) => element.scrollTop)).toBe(scrolled);
  // Under the sticky head a row that is cut by it has no full target.
  await box.evaluate((element) => {
    element.scrollTop = 0;
  });
  await expectClean();
  const fresh = await openAs('/ui/jobs?type=fetch&state=ready');
  await fresh.page.getByLabel('Choose fetch IBM2').waitFor();
  expect(await fresh.page.getByLabel('Choose fetch AAP1').count()).toBe(0);
});

journey('all 1,200 that match are redriven after their number was said; those that are superseded are named', async () => {
  await failedJobs(1_200);
  // The same work is asked for anew: the two failed jobs of it may not start beside it.
  await mesh.operator.post('/v1/jobs', { jobs: ['T7', 'T8'].map((symbol) => ({ type: 'fetch', symbol, analyse: false })) });
  const { page, expectClean } = await openAs('/ui/jobs?state=failed');
  await page.getByLabel('Choose all that are shown').check();
  await page.getByRole('button', { name: /Choose all that match/ }).click();
  await page.getByRole('group', { name: 'Chosen jobs' }).getByRole('button', { name: 'Redrive …' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText(/Redrive 1\s200 failed jobs\?/).waitFor();
  expect((await states()).failed).toBe(1_200);
  await dialog.getByRole('button', { name: /Redrive 1\s200/ }).click();
  await dialog.getByText('2 superseded').waitFor();
  expect(await dialog.getByRole('status').textContent()).toMatch(/^1\s198 started again, 2 left as they were\.$/);
  expect(await dialog.getByRole('listitem').count()).toBe(2);
  expect(await states()).toEqual({ failed: 2, ready: 1_200 });
  await expectClean();
  await dialog.getByRole('button', { name: 'Close' }).last().click();
  await expect.poll(() => page.getByRole('button', { name: /^failed/ }).textContent()).toBe('failed 2');
});

journey('all that failed with a code start again from the list of codes', async () => {
  await failedJobs(3);
  const { page } = await openAs('/ui/jobs?group=code');
  await page.getByRole('button', { name: 'Redrive all …' }).click();
  await page.getByRole('dialog').getByText('with the code source.unknown_symbol').waitFor();
  await page.getByRole('button', { name: 'Redrive 3' }).click();
  await page.getByText('3 started again.').waitFor();
  expect(await states()).toEqual({ ready: 3 });
});
