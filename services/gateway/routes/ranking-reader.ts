/** Reading rankings: the positions that a caller may see, the reason when there is no ranking, and a cache of ranks. */
import type { FastifyRequest } from 'fastify';
import { readRankState } from '../../job-types/rank/state.ts';
import { rankJson, runJson } from '../../market/options/ranking/run-json.ts';
import { whatWouldChange } from '../../market/options/ranking/what-would-change.ts';
import { explain } from '../../market/options/ranking/why.ts';
import { findRun, type RankFilter, type RunSummary, readOwnPlaces, readPlaces, readRanks } from '../../market/options/store/runs.ts';
import type { Sql } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';
import { type Caller, callerOf, demand, oneUser, ownUsers } from '../auth/access.ts';
import { summariesAsSeen } from '../auth/visible-job.ts';
import type { Parts } from '../http/app.ts';
import type { RankingQuery } from './ranking-schemas.ts';

/** The newest run as JSON, or why there is none. Errors: `InputError('symbol.unknown' | 'ranks.not_of_users')`, `RefusedError`, those of `readRun`. */
export type RankingReader = (query: RankingQuery, request: FastifyRequest) => Promise<string>;

/** The size of the cache: the ranks of about three hundred runs. */
const MOST_CHARACTERS = 64 * 1024 * 1024;

export function rankingReader({ db, config }: Pick<Parts, 'db' | 'config'>): RankingReader {
  const known = rememberedTexts(MOST_CHARACTERS);

  return async (query, request) => {
    const caller = callerOf(request);
    const { symbol, mode, side, expiry, signal, sort, limit, min_rank: minRank, contract, cursor, why } = query;
    const filter: RankFilter = { side, expiry, signal, minRank, contract, user: ownerOf(request, query), sort, limit, cursor };
    let run = await findRun(db, symbol, mode, filter);
    let state: Awaited<ReturnType<typeof stateOf>> | null = null;
    if (run === undefined) {
      state = await stateOf(db, query, caller);
      // It was published between the two reads.
      if (state.state === 'done') run = await findRun(db, symbol, mode, filter);
    }
    if (run === undefined) return JSON.stringify(runJson(symbol, mode, undefined, filter, state));
    const { places, ...page } = await readPlaces(db, run, filter);
    const answer = runJson(symbol, mode, { run, ...page, ranks: [] }, filter, null);
    let ranks = await ranksJson(run, places, why);
    if (mode === 'exit' && ownUsers(caller, 'read') !== undefined) {
      // The counts of an exit run are those of the positions of all users, and so are its places.
      Object.assign(answer, { total: null, eligible: null, reasons: null });
      const own = await readOwnPlaces(db, run, filter.user as string);
      ranks = ranks.map((text) => placedAmong(own, text));
    }
    // This text cannot stand inside a JSON string: its quotes would be escaped there.
    return JSON.stringify(answer).replace('"ranks":[]', () => `"ranks":[${ranks.join(',')}]`);
  };

  /** Each rank as JSON. A rank never changes, so its text is cached: making it took five times as long as the rest of an answer. */
  async function ranksJson(run: RunSummary, places: readonly number[], why: boolean): Promise<string[]> {
    const keyOf = (place: number): string => `${run.run_id} ${place} ${why}`;
    const texts = new Map(places.map((place) => [place, known.get(keyOf(place))]));
    const unknown = places.filter((place) => texts.get(place) === undefined);
    for (const rank of await readRanks(db, run, unknown)) {
      const text = JSON.stringify({
        ...rankJson(rank),
        ...(why ? { why: { ...explain(rank), changes: whatWouldChange(rank, config.ranking.rules) } } : {}),
      });
      known.set(keyOf(rank.place), text);
      texts.set(rank.place, text);
    }
    return [...texts.values()].flatMap((text) => text ?? []);
  }
}

/** A cache of the texts that were used last, up to this many characters in all. */
function rememberedTexts(mostCharacters: number) {
  const texts = new Map<string, string>();
  let characters = 0;
  const forget = (key: string): string | undefined => {
    const text = texts.get(key);
    characters -= text?.length ?? 0;
    texts.delete(key);
    return text;
  };
  const set = (key: string, text: string): void => {
    forget(key);
    texts.set(key, text);
    characters += text.length;
    for (const oldest of texts.keys()) {
      if (characters <= mostCharacters) return;
      forget(oldest);
    }
  };
  return {
    set,
    get(key: string): string | undefined {
      const text = forget(key);
      if (text !== undefined) set(key, text);
      return text;
    },
  };
}

/** The user whose positions are shown; undefined: those of all users. */
function ownerOf(request: FastifyRequest, { mode, user: asked }: RankingQuery): string | undefined {
  if (mode !== 'exit') {
    if (asked === undefined) return undefined;
    throw new InputError(
      'ranks.not_of_users',
      `query parameter "user": a ${mode} ranking is the same for all users; only mode=exit ranks the positions of a user`,
    );
  }
  const caller = callerOf(request);
  const user = asked ?? oneUser(caller);
  if (ownUsers(caller, 'read') !== undefined) demand(request, 'read', user);
  return user;
}

async function stateOf(db: Sql, { symbol, mode }: RankingQuery, caller: Caller) {
  const { state, job, text } = await readRankState(db, symbol, mode);
  if (state === 'never' && !(await isKnown(db, symbol)))
    throw new InputError('symbol.unknown', `${symbol} was never asked for; POST /v1/rankings {"symbol": "${symbol}"} ranks its options`);
  const [seen = null] = await summariesAsSeen(db, job === null ? [] : [job], ownUsers(caller, 'read'));
  return { state, job: seen, text };
}

/** The same rank with its place among these places alone. */
function placedAmong(places: readonly number[], rank: string): string {
  const { place, ...rest } = JSON.parse(rank) as { place: number };
  return JSON.stringify({ place: places.indexOf(place) + 1, ...rest });
}

/** Whether anything was ever done for the symbol, or somebody holds it. Each by its index. */
async function isKnown(db: Sql, symbol: string): Promise<boolean> {
  const [row] = await db.rows<{ known: number }>(
    `SELECT EXISTS (SELECT 1 FROM symbols WHERE symbol = ?) OR EXISTS (SELECT 1 FROM jobs FORCE INDEX (ix_symbol) WHERE symbol = ?)
         OR EXISTS (SELECT 1 FROM option_current WHERE symbol = ?) OR EXISTS (SELECT 1 FROM holdings WHERE symbol = ?) AS known`,
    [symbol, symbol, symbol, symbol],
  );
  return row?.known === 1;
}
