import { beforeEach, expect, test } from 'vitest';
import type { components } from '../../../services/client/openapi.ts';
import { gatewayMesh } from '../mesh.ts';

/** The answer, or the problem. */
type Body = components['schemas']['PortfolioImport'] & components['schemas']['Problem'];

const mesh = gatewayMesh();
const post = async (csv: string, query = '', headers: Record<string, string> = {}) => {
  const response = await fetch(`${mesh.gateway.url}/v1/users/alice/portfolio/import${query}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${mesh.operator.key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ csv, name: 'mine.csv' }),
  });
  return { status: response.status, body: (await response.json()) as Body };
};
const stored = async () =>
  (
    await mesh.db.rows<{ symbol: string; quantity: string }>(
      "SELECT symbol, quantity FROM holdings WHERE user_id = 'alice' ORDER BY symbol",
    )
  ).map(({ symbol, quantity }) => `${symbol} ${Number(quantity)}`);

/** One new, one changed, one as it was; MSFT is not in it. Lines 3, 5 and 7 are wrong. */
const FILE = 'symbol,quantity,cost\nAAPL,12,100\nIBM,ten,1\nIBM,5,\n!!,1,1\nSPY,3,400\nSPY,4,400\n';

beforeEach(async () => {
  await mesh.operator.put('/v1/users/alice/portfolio', {
    positions: [
      { symbol: 'AAPL', quantity: 10, cost: 100 },
      { symbol: 'MSFT', quantity: 1 },
      { symbol: 'SPY', quantity: 3, cost: 400 },
    ],
  });
});

test('a dry run says what changes and which lines are wrong, and changes nothing', async () => {
  const { status, body } = await post(FILE, '?dry_run=true');
  expect(status).toBe(200);
  expect(body).toMatchObject({ dry_run: true, added: 1, changed: 1, removed: 1, unchanged: 1, wrong_lines: 3 });
  expect(body.changes).toEqual([
    { symbol: 'AAPL', change: 'changed', from: { quantity: 10, cost: 100 }, to: { quantity: 12, cost: 100 } },
    { symbol: 'IBM', change: 'added', from: null, to: { quantity: 5, cost: null } },
    { symbol: 'MSFT', change: 'removed', from: { quantity: 1, cost: null }, to: null },
  ]);
  expect(body.wrong.map(({ line, text }) => [line, text])).toEqual([
    [3, 'IBM,ten,1'],
    [5, '!!,1,1'],
    [7, 'SPY,4,400'],
  ]);
  for (const { reason } of body.wrong) expect(reason).toMatch(/\w/);
  expect(await stored()).toEqual(['AAPL 10', 'MSFT 1', 'SPY 3']);
});

test('a file with a wrong line is refused unless such lines are to be left out', async () => {
  expect((await post(FILE)).body).toMatchObject({ status: 400, code: 'portfolio.bad_line', detail: expect.stringContaining('mine.csv:3') });
  expect(await stored()).toEqual(['AAPL 10', 'MSFT 1', 'SPY 3']);
  const { body } = await post(FILE, '?skip_wrong=true');
  expect(body).toMatchObject({ dry_run: false, added: 1, changed: 1, removed: 1, wrong_lines: 3 });
  expect(await stored()).toEqual(['AAPL 12', 'IBM 5', 'SPY 3']);
});

test('an import from the version of its dry run is refused when the portfolio was changed meanwhile', async () => {
  const { body } = await post('symbol,quantity,cost\nAAPL,1,\n', '?dry_run=true');
  await mesh.operator.put('/v1/users/alice/portfolio', { positions: [{ symbol: 'QQQ', quantity: 1 }] });
  const late = await post('symbol,quantity,cost\nAAPL,1,\n', '', { 'if-match': `"${body.version}"` });
  expect([late.status, late.body.code]).toEqual([412, 'portfolio.changed']);
  expect(await stored()).toEqual(['QQQ 1']);
  const again = await post('symbol,quantity,cost\nAAPL,1,\n', '?dry_run=true');
  expect((await post('symbol,quantity,cost\nAAPL,1,\n', '', { 'if-match': again.body.version })).status).toBe(200);
  expect(await stored()).toEqual(['AAPL 1']);
});

test('a file without a position takes nothing away', async () => {
  expect((await post('symbol,quantity,cost\n')).body.code).toBe('portfolio.nothing');
  expect((await post('colour,shape\nred,round\n')).body.code).toBe('portfolio.bad_header');
  expect(await stored()).toHaveLength(3);
});
