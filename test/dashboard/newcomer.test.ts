/** The first minute of somebody who has just started the mesh: the printed link, a portfolio that turns fresh, a chart, a ranking and why. */
import type { Locator, Page } from 'playwright-core';
import { expect } from 'vitest';
import { createCode } from '../../services/gateway/auth/sessions.ts';
import { isLong } from '../support/long.ts';
import { journey, journeys, SCREENS } from './support/journeys.ts';

const { mesh, open } = journeys({ 'ranking.chains.sources': ['simulated'], 'ranking.chains.simulated.contracts': 300 });

/** Who reads it, and how a link or button with a name is pressed. */
const READERS: Record<string, { options: object; isByKeyboard?: true; deficiency?: 'achromatopsia' }> = {
  'on a phone': { options: SCREENS['phone, dark'] as object },
  'by keyboard alone': { options: {}, isByKeyboard: true },
  'without colours': { options: {}, deficiency: 'achromatopsia' },
};
/** Without colours only among the long trials: what the page writes there is what it writes for the others. Each reader has a portfolio and a symbol that nobody has looked at before. */
const CASES = Object.entries(READERS)
  .filter(([, { deficiency }]) => isLong || deficiency === undefined)
  .map(([name, reader], at) => [name, { ...reader, user: `newcomer-${at}`, symbol: ['AAPL', 'IBM', 'QQQ', 'SPY'][at] as string }] as const);

/** Tab until the focus is there; then Enter. */
async function pressByKeyboard(page: Page, target: Locator): Promise<void> {
  await target.waitFor();
  for (let tabs = 0; tabs < 150; tabs++) {
    if (await target.evaluate((node) => node === node.ownerDocument.activeElement)) return page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
  }
  throw new Error(`${target} cannot be reached with Tab`);
}

journey.for(CASES)('the first minute %s', { timeout: 60_000 }, async ([, { options, isByKeyboard, deficiency, user, symbol }]) => {
  await mesh.operator.put(`/v1/users/${user}/portfolio`, { positions: [{ symbol, quantity: 10, cost: 50 }] });
  const code = await createCode(mesh.db, mesh.operator.id, new Date(Date.now() + 60_000));
  const { page, context, expectClean } = await open(`/ui/#code=${code}`, options);
  if (deficiency !== undefined)
    await (await context.newCDPSession(page)).send('Emulation.setEmulatedVisionDeficiency', { type: deficiency });
  const press = async (role: 'link' | 'button', name: string, within: Page | Locator = page): Promise<void> => {
    const target = within.getByRole(role, { name, exact: true }).first();
    if (isByKeyboard) return pressByKeyboard(page, target);
    await target.click();
    // The hand leaves the page, so that the chart shows its last day.
    await page.mouse.move(0, 0);
  };

  await page.getByRole('heading', { name: 'Mesh', level: 1 }).waitFor();
  if ('hasTouch' in options) await press('button', 'Open the menu');
  await press('link', 'Portfolios');
  await press('link', user);
  await page.getByText('Live', { exact: true }).waitFor();
  expect(await page.getByTestId('fresh-count').textContent()).toBe('0/1');
  await press('button', `Sign ${user} in`);
  await expect.poll(() => page.getByTestId('fresh-count').textContent(), { timeout: 15_000 }).toBe('1/1');
  await page.getByTestId('stop-watch').getByText('fresh after').waitFor();

  await press('link', symbol);
  await page.getByRole('img', { name: new RegExp(`Daily prices of ${symbol}`) }).waitFor();
  const { body } = await mesh.operator.get(`/v1/symbols/${symbol}`);
  await page.getByTestId('legend').getByText(body.bar.date).waitFor();

  await press('link', 'Options', page.getByRole('main'));
  await page.getByTestId('why-sum').waitFor();
  await page.getByText('What would change it').waitFor();
  await expectClean();
});
