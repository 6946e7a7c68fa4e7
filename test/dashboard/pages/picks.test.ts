/** Weekly picks in a browser: made with a price that was agreed to, read with the facts of each claim, and nobody else's. */
import { afterAll, beforeEach, expect } from 'vitest';
import { storeReports } from '../../../services/picks/store/reports.ts';
import { reportFor } from '../../picks/report/invented-report.ts';
import { wordsFor } from '../../picks/stored-universe.ts';
import { modelServer } from '../../support/model-server.ts';
import { journey, journeys, SCREENS } from '../support/journeys.ts';

const model = await modelServer();
afterAll(() => model.close());
const SYMBOLS = ['AAPL', 'MSFT', 'NVDA', 'JPM', 'XOM', 'PG', 'CAT', 'DUK', 'UNH', 'DIS', 'HD', 'LIN', 'PLD', 'KO', 'GE', 'V'];
const { mesh, openAs } = journeys({
  'picks.universe.lists': [{ name: 'some', symbols: SYMBOLS }],
  'model.base_url': model.url,
  'model.name': 'tester',
  'model.price_in': 2,
  'model.price_out': 10,
});

beforeEach(async () => {
  model.behave((request) => ({ kind: 'answer', text: wordsFor(request) }));
  for (const table of ['weekly_reports', 'report_drafts', 'profiles', 'spend']) await mesh.db.run(`DELETE FROM ${table}`);
});
const store = (user: string, week = '2026-01-05') =>
  mesh.db.transaction((tx) =>
    storeReports(tx, [
      { report: { ...reportFor(), user_id: user, week_of: week, version: 1 }, jobId: Buffer.alloc(16), eligible: ['AAPL'] },
    ]),
  );

journey('a report is made once its price is agreed to, and each claim has its facts', { timeout: 60_000 }, async () => {
  // One share of a made-up price costs more than the usual budget of a month.
  await mesh.operator.put('/v1/users/alice/profile', { monthly_budget: 100_000, fractional: true });
  const { page, expectClean } = await openAs('/ui/picks/alice');
  await page.getByText('Live', { exact: true }).waitFor();
  await page.getByText('No report yet').waitFor();
  await page.getByRole('button', { name: 'Make now' }).click();
  // Two calls of 20,000 tokens at $2 and 6,000 at $10 a million; the cap of a day is $10.
  expect(await page.getByTestId('price').textContent()).toBe('at most $0.20');
  await page.getByText('$10.00', { exact: true }).waitFor();
  expect(model.requests.length).toBe(0);
  await expectClean();
  await page.getByRole('button', { name: 'Make it for at most $0.20' }).click();

  await page.getByTestId('provenance').waitFor({ timeout: 45_000 });
  const provenance = await page.getByTestId('provenance').textContent();
  expect(provenance).toContain('llm: words by tester');
  expect(provenance).toContain('simulated');
  const { data } = (await mesh.operator.get('/v1/users/alice/picks')).body;
  const [pick] = data.stock_picks;
  const card = page.getByRole('list', { name: 'Picks', exact: true }).getByRole('article').first();
  await card.getByRole('link', { name: pick.ticker, exact: true }).waitFor();
  const [claim] = pick.rationale;
  const fact = data.facts.find(({ id }: { id: string }) => id === claim.facts[0]);
  const shown = await card.getByRole('listitem').filter({ hasText: claim.text }).first().textContent();
  for (const part of [fact.label, fact.shown, fact.source, fact.as_of]) expect(shown).toContain(part);
  await page.getByRole('group', { name: 'Paid calls' }).getByText('settled').waitFor();
  await expectClean();
});

journey('a key of a user is led to the own report, and sees nothing of others', async () => {
  await Promise.all(['alice', 'bob'].map((user) => store(user)));
  const alice = await mesh.caller('user:alice');
  const { page, expectClean } = await openAs('/ui/jobs', alice.key);
  const seen: string[] = [];
  page.on('response', async (response) => {
    if (response.url().includes('/v1/') && !response.url().includes('/events')) seen.push(await response.text().catch(() => ''));
  });
  await page.getByRole('link', { name: 'Picks' }).click();
  await page.waitForURL(/\/ui\/picks\/alice$/);
  await page.getByRole('heading', { name: 'Weekly picks for alice' }).waitFor();
  await page.getByText('The report below is of the week of 2026-01-05.').waitFor();
  expect(seen.join('\n')).toContain('alice');
  expect(seen.filter((text) => text.includes('bob'))).toEqual([]);
  expect(await page.getByRole('link', { name: 'History' }).count()).toBe(0);
  await expectClean();
});

journey('operators see who has a report, and the record says on how many picks it rests', async () => {
  await Promise.all(['alice', 'bob'].map((user) => mesh.operator.put(`/v1/users/${user}/profile`, {})));
  await store('alice');
  const { page, expectClean } = await openAs('/ui/picks', undefined, SCREENS['phone, dark']);
  const rows = page.getByRole('group', { name: 'Users with their newest report' }).getByRole('row');
  await rows.filter({ hasText: 'bob' }).getByText('none yet').waitFor();
  await rows.filter({ hasText: 'alice' }).getByText('week of 2026-01-05').waitFor();
  await expectClean();
  await page.getByRole('link', { name: 'alice' }).click();
  await page.getByRole('group', { name: 'Track record' }).waitFor();
  await page.getByTestId('conclusive').getByText('Too few weeks to say anything.').waitFor();
  await expectClean();
  expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
});
