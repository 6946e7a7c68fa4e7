/** `/v1/symbols/{symbol}/chain` and `/volatility`: the newest chain that is stored, and what its volatilities look like. */
import { z } from 'zod';
import { readRankState } from '../../job-types/rank/state.ts';
import {
  type Expiry,
  expiriesOf,
  readNewestChain,
  type SmilePoint,
  type StoredChain,
  type StoredContract,
  smileOf,
} from '../../market/options/store/stored-chain.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import type { Sql } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';
import { csvOf } from '../../platform/text/csv.ts';
import type { App, Parts } from '../http/app.ts';
import { format, sendCsv, wantsCsv } from '../http/csv.ts';
import { day, instant, problems } from '../http/schemas.ts';

const nullable = () => z.number().nullable();
const rank = z.object({ place: z.int(), rank: z.number(), band: z.string() }).nullable();
const contract = z
  .object({
    contract: z.string(),
    mid: nullable().describe('Dollars a share; null: not quoted on both sides'),
    bid: nullable().describe('Of a ranked contract; of the others only the middle is kept'),
    ask: nullable(),
    iv: nullable().describe('Annual, 0.25 is 25 %'),
    volume: nullable(),
    open_interest: nullable(),
    entry: rank.describe('Its place in the published ranking of this mode; null: it is not among those that are kept'),
    monitor: rank,
  })
  .meta({ id: 'ChainContract' });
const expiry = z
  .object({
    expiry: z.string(),
    days: z.int().describe('Calendar days from the session'),
    calls: z.int(),
    puts: z.int(),
    volume: z.number(),
    open_interest: z.number(),
    atm_iv: nullable().describe('At the spot, between the strikes around it'),
  })
  .meta({ id: 'Expiry' });
const head = {
  symbol: z.string(),
  date: z.string().describe('Of the session'),
  as_of: instant,
  source: z.string(),
  simulated: z.boolean().describe('true for made-up quotes'),
  spot: nullable().describe('Of the newest ranking, dollars a share; else the newest close'),
};
const chain = z
  .object({
    ...head,
    expiries: z.array(expiry),
    expiry: z.string().nullable(),
    strikes: z
      .array(z.object({ root: z.string(), strike: z.number(), call: contract.nullable(), put: contract.nullable() }))
      .describe('Of the expiration, ascending'),
  })
  .meta({ id: 'Chain' });
const volatility = z
  .object({
    ...head,
    term: z.array(z.object({ expiry: z.string(), days: z.int(), atm_iv: z.number() })).describe('At the money, by expiration'),
    smiles: z
      .array(
        z.object({
          expiry: z.string(),
          days: z.int(),
          points: z.array(z.object({ strike: z.number(), side: z.enum(['call', 'put']), moneyness: z.number(), iv: z.number() })),
        }),
      )
      .describe('Contracts out of the money, by strike'),
    history: z.array(z.object({ date: z.string(), iv: z.number() })).describe('30-day volatility at the money, by session'),
  })
  .meta({ id: 'Volatility' });

const params = z.strictObject({ symbol: SymbolSchema });
const tags = ['rankings'];
const HISTORY_DAYS = 400;

export function optionRoutes(app: App, parts: Parts): void {
  chainRoute(app, parts);
  volatilityRoute(app, parts);
}

function chainRoute(app: App, { db }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/symbols/:symbol/chain',
    config: { access: 'key' },
    schema: {
      operationId: 'readChain',
      summary: 'The newest chain of a symbol: calls and puts by strike',
      description: 'A chain is kept with each ranking. Without `expiry` the nearest expiration after the session is shown.',
      tags,
      params,
      querystring: z.strictObject({ expiry: day.optional(), format }),
      response: { 200: chain, ...problems },
    },
    async handler(request, reply) {
      const { symbol } = request.params;
      const { stored, spot } = await readStored(db, symbol);
      const expiries = expiriesOf(stored, spot);
      const wanted = request.query.expiry ?? (expiries.find(({ days }) => days > 0) ?? expiries.at(-1))?.expiry ?? null;
      const of = stored.contracts.filter((one) => one.expiry === wanted);
      if (request.query.expiry !== undefined && of.length === 0)
        throw new InputError(
          'expiry.unknown',
          `the chain of ${symbol} of ${stored.date} has no expiration ${wanted}; it has ${expiries.map((one) => one.expiry).join(', ')}`,
        );
      const ranks = await readRanksOf(db, symbol, of);
      const strikes = [...Map.groupBy(of, ({ root, strike }) => `${root} ${strike}`).values()].map((group) => {
        const side = (isPut: boolean) => {
          const found = group.find((one) => one.isPut === isPut);
          return found === undefined ? null : contractJson(found, ranks);
        };
        return { root: group[0]!.root, strike: group[0]!.strike, call: side(false), put: side(true) };
      });
      if (wantsCsv(request)) return sendCsv(reply, `${symbol}-chain-${wanted}`, chainCsv(of, ranks));
      return { ...headOf(symbol, stored, spot), expiries: expiries.map(expiryJson), expiry: wanted, strikes };
    },
  });
}

function volatilityRoute(app: App, { db }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/symbols/:symbol/volatility',
    config: { access: 'key' },
    schema: {
      operationId: 'readVolatility',
      summary: 'The implied volatilities of the newest chain: by strike, by expiration and over time',
      tags,
      params,
      querystring: z.strictObject({ expiry: day.optional().describe('The smile of this expiration alone; all if not given') }),
      response: { 200: volatility, ...problems },
    },
    async handler({ params: { symbol }, query }) {
      const { stored, spot } = await readStored(db, symbol);
      const from = Temporal.PlainDate.from(stored.date).subtract({ days: HISTORY_DAYS }).toString();
      // The primary key. Made-up and real volatilities never stand in one line.
      const history = await db.rows<{ date: string; iv: number }>(
        "SELECT date, iv FROM iv_history WHERE symbol = ? AND date >= ? AND (source = 'simulated') = ? ORDER BY date",
        [symbol, from, stored.source === 'simulated'],
      );
      const expiries = expiriesOf(stored, spot);
      const byExpiry = Map.groupBy(stored.contracts, (one) => one.expiry);
      return {
        ...headOf(symbol, stored, spot),
        term: expiries.flatMap(({ expiry: date, days, atmIv }) => (atmIv === null ? [] : [{ expiry: date, days, atm_iv: atmIv }])),
        smiles: expiries
          .filter(({ expiry: date }) => query.expiry === undefined || query.expiry === date)
          .flatMap(({ expiry: date, days }) => {
            const points = spot === null ? [] : smileOf(byExpiry.get(date) ?? [], spot).map(pointJson);
            return points.length === 0 ? [] : [{ expiry: date, days, points }];
          }),
        history,
      };
    },
  });
}

/** Errors: `InputError('chain.unknown')`, with what its newest ranking is doing. */
async function readStored(db: Sql, symbol: string): Promise<{ stored: StoredChain; spot: number | null }> {
  const stored = await readNewestChain(db, symbol);
  if (stored === undefined) {
    const { text } = await readRankState(db, symbol, 'monitor');
    throw new InputError('chain.unknown', `no chain of ${symbol} is stored: ${text}`);
  }
  // The newest of its rankings, by the primary keys; of a symbol without any the close.
  const [row] = await db.rows<{ spot: number | null }>(
    `SELECT o.spot FROM option_current c JOIN option_runs o ON o.run_id = c.run_id WHERE c.symbol = ?
      UNION ALL SELECT close + 0e0 FROM symbols WHERE symbol = ? LIMIT 1`,
    [symbol, symbol],
  );
  return { stored, spot: row?.spot ?? null };
}

const headOf = (symbol: string, { date, asOf, source }: StoredChain, spot: number | null) => ({
  ...{ symbol, date, as_of: asOf, source, simulated: source === 'simulated', spot },
});

const expiryJson = ({ openInterest, atmIv, ...rest }: Expiry) => ({ ...rest, open_interest: openInterest, atm_iv: atmIv });
const pointJson = ({ isPut, ...rest }: SmilePoint) => ({ ...rest, side: isPut ? ('put' as const) : ('call' as const) });

interface RankRow {
  mode: 'entry' | 'monitor';
  contract: string;
  place: number;
  rank: number;
  band: string;
  bid: number;
  ask: number;
}

/** By `ux_contract` of the published runs. Exit mode is about positions, which are nobody's business here. */
async function readRanksOf(db: Sql, symbol: string, contracts: readonly StoredContract[]): Promise<Map<string, RankRow[]>> {
  if (contracts.length === 0) return new Map();
  const rows = await db.rows<RankRow>(
    `SELECT c.ranking_mode AS mode, r.contract, r.place, COALESCE(r.entry_rank, r.composite_rank) + 0e0 AS \`rank\`, r.band, r.bid, r.ask
       FROM option_current c JOIN options_ranks r FORCE INDEX (ux_contract) ON r.run_id = c.run_id
      WHERE c.symbol = ? AND c.ranking_mode IN ('entry', 'monitor') AND r.contract IN (?)`,
    [symbol, contracts.map((one) => one.contract)],
  );
  return Map.groupBy(rows, (row) => row.contract);
}

function contractJson({ contract: name, mid, iv, volume, openInterest }: StoredContract, ranks: ReadonlyMap<string, RankRow[]>) {
  const own = ranks.get(name) ?? [];
  const of = (mode: RankRow['mode']) => {
    const found = own.find((row) => row.mode === mode);
    return found === undefined ? null : { place: found.place, rank: found.rank, band: found.band };
  };
  const [quoted] = own;
  return {
    ...{ contract: name, mid, bid: quoted?.bid ?? null, ask: quoted?.ask ?? null, iv, volume, open_interest: openInterest },
    ...{ entry: of('entry'), monitor: of('monitor') },
  };
}

function chainCsv(contracts: readonly StoredContract[], ranks: ReadonlyMap<string, RankRow[]>): string {
  const rows = contracts.map((one) => {
    const { entry, monitor, ...rest } = contractJson(one, ranks);
    const side = one.isPut ? 'put' : 'call';
    return { expiry: one.expiry, side, strike: one.strike, ...rest, entry_rank: entry?.rank ?? null, monitor_rank: monitor?.rank ?? null };
  });
  return csvOf(
    ['contract', 'expiry', 'side', 'strike', 'mid', 'bid', 'ask', 'iv', 'volume', 'open_interest', 'entry_rank', 'monitor_rank'],
    rows,
  );
}
