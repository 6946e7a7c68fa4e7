/** The options of a symbol: from nothing to a ranking and why, the chain, and positions that two people change. */
import { expect } from 'vitest';
import { journey, journeys, SCREENS } from '../support/journeys.ts';

const { mesh, openAs } = journeys({
  'ranking.chains.sources': ['simulated'],
  // Forty strikes an expiration: more than the box of the chain shows.
  'ranking.chains.simulated.contracts': 1500,
  // axe looks at each cell, and takes ten seconds for a hundred rows.
  'ranking.rules.top_n': 20,
});
/** As on the page, without the thin spaces and with the ASCII minus. */
const numberOf = (text: string | null): number => Number((text ?? '').replaceAll('\u2009', '').replace('\u2212', '-'));
const hold = (symbol: string) => mesh.operator.put('/v1/users/alice/portfolio', { positions: [{ symbol, quantity: 10, cost: 100 }] });
const ranked = async (symbol: string, mode: string) => {
  const { body } = await mesh.operator.post('/v1/rankings', { symbol, mode });
  await expect.poll(async () => (await mesh.operator.get(`/v1/jobs/${body.jobId}`)).body.state, { timeout: 15_000 }).toBe('completed');
  return (await mesh.operator.get(`/v1/rankings?symbol=${symbol}&mode=${mode}&why=true`)).body;
};

// A symbol of its own for each screen: none of them is ranked yet.
journey.for(Object.entries(SCREENS).map(([name, options], at) => [name, options, ['AAPL', 'IBM', 'QQQ', 'SPY'][at] as string] as const))(
  'a symbol that was never ranked is asked for, turns ranked without a reload, and why adds up: %s',
  async ([, options, symbol]) => {
    await hold(symbol);
    const { page, expectClean } = await openAs(`/ui/options/${symbol}`, undefined, options);
    await page.getByText(`${symbol} was never ranked for this`).waitFor();
    await page.getByText('Live', { exact: true }).waitFor();
    await page.getByRole('button', { name: `Rank ${symbol} now` }).click();
    const sum = page.getByTestId('why-sum');
    await sum.waitFor();
    const [best] = (await mesh.operator.get(`/v1/rankings?symbol=${symbol}&mode=entry&limit=1`)).body.ranks;
    const points = await page.getByTestId('why-points').allTextContents();
    // In ten-thousandths: sums of decimals are not exact.
    const added = points.reduce((total, text) => total + Math.round(numberOf(text) * 1e4), 0);
    expect(added).toBe(Math.round(best.entry_rank * 1e4));
    expect(numberOf(await sum.textContent())).toBe(best.entry_rank);
    expect(await page.getByTestId('contract').getByRole('listitem').count()).toBeGreaterThan(4);
    expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
    await expectClean();
  },
);

journey('a click on a symbol and one on Options show a ranking: nobody has to ask for it', async () => {
  await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'GOOG' });
  await expect.poll(async () => (await mesh.operator.get('/v1/symbols/GOOG')).body.bar).toBeTruthy();
  const { page, expectClean } = await openAs('/ui/symbols/GOOG');
  await page.getByRole('main').getByRole('link', { name: 'Options' }).click();
  await page.getByTestId('why-sum').waitFor();
  await page.getByTestId('run-line').getByText('(1 of 20 days)').waitFor();
  await expectClean();
});

journey('filters stand in the address, and leave what the API leaves', async () => {
  const { ranks } = await ranked('MSFT', 'monitor');
  const puts = ranks.filter(({ side }: { side: string }) => side === 'put').length;
  const { page, expectClean } = await openAs('/ui/options/MSFT?mode=monitor');
  await page.getByLabel('Side').selectOption('put');
  await page.waitForURL(/side=put/);
  const all = (await mesh.operator.get('/v1/rankings?symbol=MSFT&mode=monitor&side=put&limit=500')).body.totalRanks;
  await page.getByText(`${all} of`).waitFor();
  expect(all).toBeGreaterThanOrEqual(puts);
  const rows = page.getByRole('group', { name: 'Ranked contracts' }).getByRole('row');
  expect(await rows.count()).toBe(1 + all);
  await page.reload();
  await page.getByText(`${all} of`).waitFor();
  await expectClean();
});

journey('the chain opens at the money, with the ranks of what is ranked', async () => {
  await ranked('BAC', 'entry');
  const { page, expectClean } = await openAs('/ui/options/BAC?tab=chain');
  const box = page.getByRole('group', { name: /^Chain of BAC/ });
  const money = box.getByRole('row', { name: /^spot/ });
  await money.waitFor();
  const chain = (await mesh.operator.get('/v1/symbols/BAC/chain')).body;
  expect(await money.textContent()).toBe(`spot ${chain.spot.toFixed(2)}`);
  // The row of the money is in sight, and stands between the strikes around the spot.
  const [row, frame] = [await money.boundingBox(), await box.boundingBox()];
  expect(row!.y).toBeGreaterThan(frame!.y);
  expect(row!.y + row!.height).toBeLessThan(frame!.y + frame!.height);
  const texts = await box.getByRole('row').allTextContents();
  const at = texts.findIndex((text) => text.startsWith('spot'));
  const above = chain.strikes.find(({ strike }: { strike: number }) => strike >= chain.spot);
  expect(texts[at + 1]).toContain(above.strike.toFixed(2));
  const chips = chain.strikes.flatMap(({ call, put }: { call: { entry: unknown } | null; put: { entry: unknown } | null }) =>
    [call, put].filter((one) => one?.entry != null),
  );
  expect(await box.getByRole('link').count()).toBe(chips.length);
  await expectClean();
});

journey('volatility is a plot, and the same as a table', async () => {
  await ranked('WM', 'monitor');
  const { page, expectClean } = await openAs('/ui/options/WM?tab=volatility');
  await page.getByRole('img', { name: /^Volatility by strike/ }).waitFor();
  await page.getByRole('img', { name: /^At the money, by days left/ }).waitFor();
  await expectClean();
  await page.getByRole('button', { name: 'Show as tables' }).click();
  const { term } = (await mesh.operator.get('/v1/symbols/WM/volatility')).body;
  const rows = page.getByRole('group', { name: 'Volatility by expiration' }).getByRole('row');
  expect(await rows.count()).toBe(1 + term.length);
  await expectClean();
});

journey('who changes a position that was changed in another tab is told, and nothing is overwritten', async () => {
  await hold('AIG');
  const { ranks } = await ranked('AIG', 'entry');
  const [{ contract }] = ranks;
  const path = '/v1/users/alice/positions';
  await mesh.operator.put(path, { positions: [{ contract, quantity: 1, entry_price: 2 }] });
  const quantities = async () => (await mesh.operator.get(path)).body.positions.map(({ quantity }: { quantity: number }) => quantity);
  const tabs = await Promise.all([0, 1].map(() => openAs('/ui/options/AIG?tab=positions&user=alice')));
  const [one, other] = tabs as [(typeof tabs)[0], (typeof tabs)[0]];
  for (const { page } of tabs) await page.getByRole('button', { name: /^Edit AIG/ }).click();
  await one.page.getByRole('textbox', { name: 'Contracts' }).fill('2');
  await one.page.getByRole('button', { name: 'Save' }).click();
  await one.page.getByRole('dialog').waitFor({ state: 'detached' });
  await one.expectClean();
  await other.page.getByRole('textbox', { name: 'Contracts' }).fill('3');
  await other.page.getByRole('button', { name: 'Save' }).click();
  await other.page.getByRole('alert').getByText('Changed elsewhere').waitFor();
  expect(await quantities()).toEqual([2]);
  await other.page.getByRole('button', { name: 'Look again' }).click();
  await other.page.getByRole('cell', { name: '2', exact: true }).waitFor();
  // The browser itself writes the 412 there, which is meant.
  expect(other.faults.splice(0)).toEqual([expect.stringContaining('412')]);
  await other.page.getByRole('button', { name: /^Remove AIG/ }).click();
  await other.page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await other.page.getByText('alice holds no options of AIG').waitFor();
  expect(await quantities()).toEqual([]);
  await other.expectClean();
});

journey('a key that may only read sees the ranking and no enabled button that changes', async () => {
  await ranked('EEM', 'monitor');
  const reader = await mesh.caller('read');
  const { page, expectClean } = await openAs('/ui/options/EEM?mode=monitor', reader.key);
  await page.getByTestId('why-sum').waitFor();
  const again = page.getByRole('button', { name: 'Rank again' });
  expect(await again.isDisabled()).toBe(true);
  expect(await again.getAttribute('title')).toContain('"jobs"');
  await page.getByRole('button', { name: 'Find entry', exact: true }).click();
  expect(await page.getByRole('button', { name: 'Rank EEM now' }).isDisabled()).toBe(true);
  await expectClean();
});
