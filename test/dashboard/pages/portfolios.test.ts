/** A portfolio that turns fresh before one's eyes, and the chart of a symbol. */
import { expect } from 'vitest';
import { journey, journeys, SCREENS } from '../support/journeys.ts';

const { mesh, openAs } = journeys();
const positions = [
  { symbol: 'AAPL', quantity: 10, cost: 100 },
  { symbol: 'IBM', quantity: 5, cost: 50 },
];
const hold = () => mesh.operator.put('/v1/users/alice/portfolio', { positions });

journey.for(Object.entries(SCREENS))(
  'a user is signed in, the prices turn fresh without a reload, and the stop-watch ends: %s',
  async ([, options]) => {
    await hold();
    const { page, expectClean } = await openAs('/ui/portfolios/alice', undefined, options);
    await page.getByText('Live', { exact: true }).waitFor();
    expect(await page.getByTestId('fresh-count').textContent()).toBe('0/2');
    await page.getByRole('button', { name: 'Sign alice in' }).click();
    await expect.poll(() => page.getByTestId('fresh-count').textContent(), { timeout: 15_000 }).toBe('2/2');
    await page.getByTestId('stop-watch').getByText('fresh after').waitFor();
    const { body } = await mesh.operator.get('/v1/users/alice/portfolio/freshness');
    expect(body.counts.fresh).toBe(2);
    const table = page.getByRole('group', { name: 'Decisions of the last login' });
    expect(await table.getByRole('row').count()).toBe(1 + positions.length);
    await expectClean();
  },
);

journey('a file is shown before it is written: what changes, and which lines are wrong', async () => {
  await hold();
  const { page, expectClean } = await openAs('/ui/portfolios/alice');
  const csv = 'user,symbol,quantity,cost\nalice,AAPL,20,100\nalice,MSFT,1,300\nalice,IBM,many,50\n';
  await page.locator('input[type=file]').setInputFiles({ name: 'alice.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) });
  await page.getByText('1 line is wrong').waitFor();
  await page.getByText(/Line 4/).waitFor();
  const replace = page.getByRole('button', { name: 'Replace the portfolio' });
  expect(await replace.isDisabled()).toBe(true);
  const held = async () =>
    (await mesh.operator.get('/v1/users/alice/portfolio')).body.positions.map(
      (one: { symbol: string; quantity: number }) => `${one.symbol} ${one.quantity}`,
    );
  expect(await held()).toEqual(['AAPL 10', 'IBM 5']);
  await expectClean();
  await page.getByLabel('Leave the wrong lines out').check();
  await replace.click();
  await page.getByText('Replaced:').waitFor();
  expect(await held()).toEqual(['AAPL 20', 'MSFT 1']);
});

journey.for(['America/Los_Angeles', 'Asia/Tokyo'])('the last day of the chart is the one of the API, in %s too', async (timezoneId) => {
  await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL' });
  const bar = () => mesh.operator.get('/v1/symbols/AAPL').then(({ body }) => body.bar);
  await expect.poll(bar).toBeTruthy();
  const { date, close } = await bar();
  const { page, expectClean } = await openAs('/ui/symbols/AAPL', undefined, { timezoneId });
  const legend = page.getByTestId('legend');
  await legend.getByText(date).waitFor();
  expect(await legend.textContent()).toContain(close.toFixed(2));
  // The keyboard moves the cursor, and the line that is read out follows.
  const chart = page.getByRole('img', { name: /Daily prices of AAPL/ });
  await chart.focus();
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowLeft');
  await expect.poll(() => legend.textContent()).not.toContain(date);
  await expectClean();
});
