/** `GET /v1/rankings/symbols`: the symbols whose options somebody would look at, for a list to choose from. */
import { z } from 'zod';
import { MODES, type Mode } from '../../market/options/scoring/parts.ts';
import type { Sql } from '../../platform/database/database.ts';
import { callerOf, ownUsers } from '../auth/access.ts';
import type { App, Parts } from '../http/app.ts';
import { instant, problems } from '../http/schemas.ts';

/** Symbols of each kind. */
const MOST = 500;

const ranked = z
  .object({
    symbol: z.string(),
    held: z.boolean().describe('By a user whose holdings the caller may see'),
    simulated: z.boolean().describe('true where the newest ranking is of made-up quotes'),
    rankings: z.array(z.object({ mode: z.enum(MODES), run_at: instant })),
    atm_iv: z.number().nullable().describe('Of the newest ranking: at the money in 30 days, annual, 0.25 is 25 %'),
    iv_rank: z.number().nullable(),
  })
  .meta({ id: 'RankedSymbol' });
type RankedSymbol = z.output<typeof ranked>;

export function rankedSymbolsRoute(app: App, { db }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/rankings/symbols',
    config: { access: 'key' },
    schema: {
      operationId: 'listRankedSymbols',
      summary: 'Symbols that have a ranking, then those that are held',
      description: `Each by name, at most ${MOST} that have a ranking and ${MOST} others. Of holdings a key of a user sees those of that user.`,
      tags: ['rankings'],
      response: { 200: z.object({ symbols: z.array(ranked) }), ...problems },
    },
    async handler(request) {
      const users = ownUsers(callerOf(request), 'read');
      const [runs, held] = await Promise.all([readRuns(db), readHeld(db, users)]);
      const isHeld = new Set(held);
      const found = [...Map.groupBy(runs, ({ symbol }) => symbol)].map(([symbol, own]) => rankedJson(symbol, own, isHeld.has(symbol)));
      const known = new Set(found.map(({ symbol }) => symbol));
      const others = held.filter((symbol) => !known.has(symbol)).map((symbol) => rankedJson(symbol, [], true));
      return { symbols: [...found, ...others] };
    },
  });
}

interface RunRow {
  symbol: string;
  mode: Mode;
  run_at: Date;
  source: string;
  atm_iv: number | null;
  iv_rank: string | null;
}

/** By the primary keys, in the order of the first. */
const readRuns = (sql: Sql): Promise<RunRow[]> =>
  sql.rows<RunRow>(
    `SELECT c.symbol, c.ranking_mode AS mode, o.run_at, o.source, o.atm_iv, o.iv_rank
       FROM option_current c JOIN option_runs o ON o.run_id = c.run_id
      ORDER BY c.symbol, c.ranking_mode LIMIT ?`,
    [MOST * MODES.length],
  );

/** By ix_symbol, or by the primary key of the users. */
async function readHeld(sql: Sql, users: readonly string[] | undefined): Promise<string[]> {
  if (users?.length === 0) return [];
  const rows = await sql.rows<{ symbol: string }>(
    `SELECT DISTINCT symbol FROM holdings ${users === undefined ? '' : 'WHERE user_id IN (?)'} ORDER BY symbol LIMIT ?`,
    [...(users === undefined ? [] : [users]), MOST],
  );
  return rows.map(({ symbol }) => symbol);
}

function rankedJson(symbol: string, runs: readonly RunRow[], held: boolean): RankedSymbol {
  const newest = runs.reduce<RunRow | undefined>((last, run) => (last === undefined || run.run_at > last.run_at ? run : last), undefined);
  return {
    ...{ symbol, held, simulated: newest?.source === 'simulated', rankings: runs.map(({ mode, run_at }) => ({ mode, run_at })) },
    ...{ atm_iv: newest?.atm_iv ?? null, iv_rank: newest?.iv_rank == null ? null : Number(newest.iv_rank) },
  };
}
