/** The mesh, the list of jobs and one job, in a browser over a mesh that works. */
import { expect } from 'vitest';
import { journey, journeys, SCREENS } from './support/journeys.ts';

const { mesh, openAs } = journeys();
const fetchJob = async (symbol: string): Promise<string> =>
  (await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol })).body.jobs[0].id;

journey.for(Object.entries(SCREENS))('the mesh is drawn without a fault: %s', async ([, options]) => {
  const { page, expectClean } = await openAs('/ui/mesh', undefined, options);
  await page.getByRole('heading', { name: 'Market sources' }).waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
  await page.getByRole('img', { name: /Login to fresh/ }).waitFor();
  await expectClean();
  expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
});

journey('a job that is asked for appears in the feed, without a reload', async () => {
  const { page } = await openAs('/ui/mesh');
  await page.getByText('Live', { exact: true }).waitFor();
  await fetchJob('AAPL');
  await page
    .getByRole('log')
    .getByText(/fetch AAPL completed/)
    .waitFor();
});

journey.for(Object.entries(SCREENS))('why a job has its priority adds up to its score: %s', async ([, options]) => {
  await mesh.operator.put('/v1/users/alice/portfolio', { positions: [{ symbol: 'AAPL', quantity: 10, cost: 100 }] });
  await mesh.operator.post('/v1/events/login', { userId: 'alice' });
  const { body } = await mesh.operator.get('/v1/jobs?symbol=AAPL&type=fetch');
  const [{ id, score }] = body.jobs;
  const { page, expectClean } = await openAs(`/ui/jobs/${id}`, undefined, options);
  // To four digits, as the API has it.
  expect(await page.getByTestId('why-sum').textContent()).toBe(score.toFixed(4));
  expect(await page.getByTestId('why-score').textContent()).toBe(score.toFixed(4));
  await page.getByRole('heading', { name: 'Attempts' }).waitFor();
  await expectClean();
});

journey('a link to a filtered list shows the same rows in another browser', async () => {
  await Promise.all(['AAPL', 'IBM'].map(fetchJob));
  const one = await openAs('/ui/jobs');
  await one.page.getByRole('textbox', { name: 'Symbol' }).fill('ibm');
  await one.page.waitForURL(/symbol=ibm/i);
  const rows = () => one.page.getByRole('row').filter({ hasText: /fetch|analysis/ });
  await expect.poll(() => rows().filter({ hasNotText: 'IBM' }).count()).toBe(0);
  const other = await openAs(new URL(one.page.url()).pathname + new URL(one.page.url()).search);
  await other.page.getByRole('link', { name: 'IBM' }).first().waitFor();
  expect(await other.page.getByRole('link', { name: 'AAPL' }).count()).toBe(0);
  await other.expectClean();
});

journey('columns that were taken away stay away in this browser', async () => {
  await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL' });
  const { page, expectClean } = await openAs('/ui/jobs');
  const head = () => page.getByRole('columnheader').allTextContents();
  await page.getByText('Columns', { exact: true }).click();
  await page.getByLabel('Attempt').uncheck();
  expect(await head()).not.toContain('Attempt');
  await expectClean();
  await page.reload();
  await page.getByRole('columnheader', { name: 'State' }).waitFor();
  expect(await head()).not.toContain('Attempt');
  await page.getByText('Columns', { exact: true }).click();
  await page.getByLabel('Attempt').check();
  expect(await head()).toContain('Attempt');
});
