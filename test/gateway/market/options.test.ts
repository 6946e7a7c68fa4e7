/** The stored chain of a symbol over HTTP. The chain is invented contract by contract, so that each expected number can be read off it. */
import { beforeEach, expect, test } from 'vitest';
import type { Chain } from '../../../services/market/options/chain/chain.ts';
import { contractKeys, contractsOfKeys, encodeChainDay } from '../../../services/market/options/chain/history.ts';
import { storeChainDays, storeIvs } from '../../../services/market/options/store/past.ts';
import { gatewayMesh } from '../mesh.ts';
import { publishRuns, withoutRankings } from '../routes/ranking-rows.ts';

const mesh = gatewayMesh();
withoutRankings(mesh);
const AS_OF = new Date('2026-03-02T21:00:00Z');
const EXPIRIES = ['2026-03-20', '2026-06-19'];
const STRIKES = [90, 100, 110];

/** Each strike has a call and a put; the volatility is 0.20 + 0.01 × (strike - 100) / 10, and 0.05 more in June. */
const ROWS = EXPIRIES.flatMap((expiry, index) =>
  STRIKES.flatMap((strike) =>
    [false, true].map((isPut) => ({
      expiry,
      strike,
      isPut,
      iv: Number((0.2 + (strike - 100) / 1000 + 0.05 * index).toFixed(3)),
      mid: isPut ? strike / 50 : 12 - strike / 10,
    })),
  ),
).map((row, index) => ({ ...row, volume: index, openInterest: 100 + index }));
const nameOf = ({ expiry, strike, isPut }: (typeof ROWS)[number]) =>
  `ACME${expiry.slice(2).replaceAll('-', '')}${isPut ? 'P' : 'C'}${String(strike * 1000).padStart(8, '0')}`;

async function storeChain(source: 'file' | 'simulated' = 'file'): Promise<void> {
  const chain = {
    underlying: 'ACME',
    contracts: ROWS.map(nameOf),
    expirations: EXPIRIES,
    expiry: Uint16Array.from(ROWS, ({ expiry }) => EXPIRIES.indexOf(expiry)),
    isPut: Uint8Array.from(ROWS, ({ isPut }) => Number(isPut)),
    strike: Float64Array.from(ROWS, ({ strike }) => strike),
  } as unknown as Chain;
  const keys = contractKeys(chain);
  const order = ROWS.map((_, index) => index).sort((a, b) => keys[a]! - keys[b]!);
  const column = (of: (row: (typeof ROWS)[number]) => number) => Float64Array.from(order, (index) => of(ROWS[index]!));
  const day = {
    ...{
      date: '2026-03-02',
      key: Float64Array.from(order, (index) => keys[index]!),
      mid: column(({ mid }) => (mid <= 1 ? Number.NaN : mid)),
    },
    ...{ iv: column(({ iv }) => iv), volume: column(({ volume }) => volume), openInterest: column(({ openInterest }) => openInterest) },
  };
  const origin = { symbol: 'ACME', date: '2026-03-02', source, asOf: AS_OF };
  await mesh.db.transaction(async (tx) => {
    await storeChainDays(tx, [{ ...origin, contracts: ROWS.length, data: encodeChainDay(day) }]);
    await storeIvs(tx, [
      { ...origin, iv: 0.21 },
      { ...origin, date: '2026-02-27', iv: 0.19 },
    ]);
  });
  await mesh.db.run('INSERT INTO symbols (symbol, newest_bar, close, currency, source) VALUES (?)', [
    ['ACME', '2026-03-02', 100, 'USD', 'yahoo_finance'],
  ]);
}
const read = async (path: string) => (await mesh.operator.get(`/v1/symbols/ACME/${path}`)).body;

beforeEach(() => mesh.db.run('DELETE FROM symbols'));

test('a key gives its contract back, also of another root and an odd strike', () => {
  const contracts = ['SPX260320C05000000', 'SPXW260320P05000500', 'SPXW300117C00000001'];
  const chain = {
    ...{ underlying: '^SPX', contracts, expirations: ['2026-03-20', '2030-01-17'], expiry: Uint16Array.of(0, 0, 1) },
    ...{ isPut: Uint8Array.of(0, 1, 0), strike: Float64Array.of(5000, 5000.5, 0.001) },
  } as unknown as Chain;
  expect(contractsOfKeys('^SPX', contractKeys(chain)).map(({ contract }) => contract)).toEqual(contracts);
});

test('a chain shows calls and puts by strike, and the expirations with their counts', async () => {
  await storeChain();
  const body = await read('chain');
  expect(body).toMatchObject({ symbol: 'ACME', date: '2026-03-02', source: 'file', simulated: false, spot: 100, expiry: '2026-03-20' });
  expect(body.expiries).toEqual([
    // Contracts 0 to 5: volumes add up to 15. Of strike 100 the volatility is 0.20.
    { expiry: '2026-03-20', days: 18, calls: 3, puts: 3, volume: 15, open_interest: 615, atm_iv: 0.2 },
    { expiry: '2026-06-19', days: 109, calls: 3, puts: 3, volume: 51, open_interest: 651, atm_iv: 0.25 },
  ]);
  expect(body.strikes.map(({ strike }: { strike: number }) => strike)).toEqual(STRIKES);
  expect(body.strikes[0]).toMatchObject({
    root: 'ACME',
    call: { contract: 'ACME260320C00090000', mid: 3, iv: 0.19, volume: 0, open_interest: 100, bid: null, entry: null },
    put: { contract: 'ACME260320P00090000', mid: 1.8, volume: 1 },
  });
  // Not quoted on both sides.
  expect(body.strikes[2].call.mid).toBeNull();
  expect((await read('chain?expiry=2026-06-19')).strikes[1].call.contract).toBe('ACME260619C00100000');
  expect((await read('chain?expiry=2026-07-17')).code).toBe('expiry.unknown');
});

test('a contract that is ranked has its place and its quotes', async () => {
  await storeChain();
  await publishRuns(mesh.db, ['entry']);
  await mesh.db.run("UPDATE options_ranks SET contract = 'ACME260320C00100000' WHERE place = 1");
  const [rank] = await mesh.db.rows<{ bid: number; ask: number; rank: number }>(
    'SELECT bid, ask, entry_rank + 0e0 AS `rank` FROM options_ranks WHERE place = 1',
  );
  const { call } = (await read('chain')).strikes[1];
  expect(call).toMatchObject({ bid: rank!.bid, ask: rank!.ask, entry: { place: 1, rank: rank!.rank }, monitor: null });
});

test('volatilities stand by strike, by expiration and over time', async () => {
  await storeChain();
  const body = await read('volatility');
  expect(body.term).toEqual([
    { expiry: '2026-03-20', days: 18, atm_iv: 0.2 },
    { expiry: '2026-06-19', days: 109, atm_iv: 0.25 },
  ]);
  // Out of the money: the put of 90, the calls of 100 and 110.
  expect(body.smiles[0]).toEqual({
    ...{ expiry: '2026-03-20', days: 18 },
    points: [
      { strike: 90, side: 'put', moneyness: 0.9, iv: 0.19 },
      { strike: 100, side: 'call', moneyness: 1, iv: 0.2 },
      { strike: 110, side: 'call', moneyness: 1.1, iv: 0.21 },
    ],
  });
  expect(body.history).toEqual([
    { date: '2026-02-27', iv: 0.19 },
    { date: '2026-03-02', iv: 0.21 },
  ]);
  expect((await read('volatility?expiry=2026-06-19')).smiles).toHaveLength(1);
});

test('a symbol without a chain says so, and what its ranking is doing', async () => {
  await mesh.operator.post('/v1/rankings', { symbol: 'ACME' });
  const { status, code, detail } = await read('chain');
  expect([status, code, detail]).toEqual([404, 'chain.unknown', expect.stringContaining('is being made')]);
});

test('a made-up chain is marked as such', async () => {
  await storeChain('simulated');
  expect(await read('chain')).toMatchObject({ simulated: true });
  expect(await read('volatility')).toMatchObject({ simulated: true });
});
