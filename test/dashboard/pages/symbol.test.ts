/** The chart of a symbol and what can be taken out of it. */
import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { journey, journeys, SCREENS } from '../support/journeys.ts';

const { mesh, openAs } = journeys();
const bars = async (adjusted: boolean) => (await mesh.operator.get(`/v1/symbols/AAPL/bars?limit=5000&adjusted=${adjusted}`)).body;

/** Fetches and analyses AAPL, and stores a split of 4 a month ago, of which the older prices know. Returns the newest bar. */
async function withSplit(): Promise<{ date: string; close: number }> {
  for (const type of ['fetch', 'analysis']) {
    const { body } = await mesh.operator.post('/v1/jobs', { type, symbol: 'AAPL' });
    await expect
      .poll(async () => (await mesh.operator.get(`/v1/jobs/${body.jobs[0].id}`)).body.state, { timeout: 15_000 })
      .toBe('completed');
  }
  const raw = await bars(false);
  const { date } = raw.bars.at(-20);
  await mesh.db.run('INSERT INTO corporate_actions (symbol, date, kind, value, source, as_of) VALUES (?)', [
    ['AAPL', date, 'split', 4, 'simulated', new Date()],
  ]);
  await mesh.db.run('UPDATE bars SET adjusted_close = adjusted_close / 4 WHERE symbol = ? AND date < ?', ['AAPL', date]);
  return raw.bars.at(-1);
}

journey.for(Object.entries(SCREENS))('a symbol is drawn with its day, its signals and its split: %s', async ([, options]) => {
  const newest = await withSplit();
  const { page, expectClean } = await openAs('/ui/symbols/AAPL', undefined, options);
  await page.getByRole('img', { name: /Daily prices of AAPL/ }).waitFor();
  const { previous_close } = (await mesh.operator.get('/v1/symbols/AAPL')).body;
  const change = Math.abs(newest.close - previous_close).toFixed(2);
  expect(await page.getByTestId('day-change').textContent()).toContain(change);
  // The marker of the chart stands in words too.
  await page.getByRole('group', { name: 'Splits and dividends' }).getByRole('cell', { name: 'split' }).first().waitFor();
  const { signals } = (await mesh.operator.get('/v1/symbols/AAPL/signals')).body;
  expect(await page.getByRole('group', { name: 'Signals of AAPL' }).getByRole('row').count()).toBe(1 + signals.length);
  expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
  await expectClean();
});

journey('raw and adjusted prices are those of the API, as a chart, as a table and as CSV; the picture is a PNG', async () => {
  await withSplit();
  const { page, expectClean } = await openAs('/ui/symbols/AAPL');
  await page.getByRole('img', { name: /Daily prices of AAPL/ }).waitFor();
  const picture = page.waitForEvent('download');
  await page.getByRole('button', { name: 'PNG' }).click();
  const png = await readFile(await (await picture).path());
  expect([...png.subarray(1, 4)]).toEqual([...Buffer.from('PNG')]);
  // Width and height stand in the first chunk.
  expect(png.readUInt32BE(16)).toBeGreaterThan(300);
  await page.getByRole('button', { name: 'Show as table' }).click();
  for (const adjusted of [true, false]) {
    await page.getByLabel('Adjusted for splits and dividends').setChecked(adjusted);
    const { bars: expected } = await bars(adjusted);
    const first = page.getByRole('group', { name: 'Daily prices of AAPL' }).getByRole('row').nth(1);
    await expect.poll(() => first.textContent()).toContain(`${expected.at(-1).date}${expected.at(-1).open.toFixed(2)}`);
    const file = page.waitForEvent('download');
    await page.getByRole('link', { name: 'CSV' }).first().click();
    const lines = (await readFile(await (await file).path(), 'utf8')).trim().split(/\r?\n/);
    const columns = lines[0]!.split(',');
    const closes = lines.slice(1).map((line) => Number(line.split(',')[columns.indexOf('close')]));
    expect(closes).toEqual(expected.map(({ close }: { close: number }) => close));
  }
  const [raw, adjusted] = await Promise.all([bars(false), bars(true)]);
  expect(adjusted.bars[0].close).toBeCloseTo(raw.bars[0].close / 4, 2);
  await expectClean();
});

journey('figures and news are fetched by a button, and appear without a reload', async () => {
  await withSplit();
  const { page, expectClean } = await openAs('/ui/symbols/AAPL');
  await page.getByText('Live', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Fetch figures and news' }).click();
  await page.getByText('price / earnings').waitFor();
  const { news } = (await mesh.operator.get('/v1/symbols/AAPL/research')).body;
  // Some days have several of one title.
  await page.getByRole('link', { name: news.headlines[0].title }).first().waitFor();
  // Off what has moved under it, whose explanation would open.
  await page.mouse.move(0, 0);
  await expectClean();
});
