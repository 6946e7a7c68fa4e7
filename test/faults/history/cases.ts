/** Downloads while worker, database, broker and store are killed at random moments. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Round } from '../round.ts';
import { type Checksums, type HistoryGround, VICTIMS, type Victim } from './ground.ts';

export interface KilledRound extends Round {
  /** Requests beyond those of an undisturbed run: what was under way at a kill is asked for again. */
  again: number;
}

export interface HistoryCase {
  name: string;
  /** The first round has the number 0. */
  round(ground: HistoryGround, number: number): Promise<KilledRound>;
}

/** 252 trading days, and 61. */
const YEAR = { from: '2024-01-01', to: '2024-12-31' };
const QUARTER = { from: '2024-01-01', to: '2024-03-31' };
export const KILLS = 4;
/** Seconds. */
export const PATIENCE = 300;
interface Calm {
  stored: Checksums;
  seconds: number;
  requests: number;
}

/** By range. */
const calmRuns = new Map<string, Calm>();

/** What the same download gives when nothing happens. */
export async function undisturbedRun(ground: HistoryGround, range: typeof YEAR): Promise<Calm> {
  const name = `${range.from} ${range.to}`;
  const known = calmRuns.get(name);
  if (known !== undefined) return known;
  const started = performance.now();
  const { state, stored, requests } = await ground.result(await ground.begin(range), PATIENCE);
  if (state !== 'completed') throw new Error(`undisturbed, the download ended as ${state}`);
  const calm = { stored, seconds: (performance.now() - started) / 1000, requests };
  calmRuns.set(name, calm);
  await ground.clear();
  return calm;
}

/** The kills of a round come at moments of the time that the whole takes, from a seed. */
export async function killedRound(
  ground: HistoryGround,
  victims: readonly Victim[],
  seed: number,
  range: typeof YEAR,
): Promise<KilledRound> {
  const calm = await undisturbedRun(ground, range);
  const random = randomFrom(seed);
  const id = await ground.begin(range);
  const started = performance.now();
  for (let kill = 0; kill < KILLS; kill++) {
    await delay(((random() * 1000 * calm.seconds) / KILLS) * 1.5);
    await ground.kill(victims[Math.floor(random() * victims.length)] as Victim);
  }
  const { state, items, doubled, stored, manifest, requests } = await ground.result(id, PATIENCE);
  const sent = calm.stored.size;
  const same = [...calm.stored].filter(([key, sha256]) => stored.get(key) === sha256 && manifest.get(key) === sha256).length;
  await ground.clear();
  return {
    sent,
    done: same,
    lost: sent - same,
    // Objects that nobody asked for count too.
    doubled: doubled + (stored.size - same),
    failed: (items.failed ?? 0) + Number(state !== 'completed'),
    recoverySeconds: (performance.now() - started) / 1000,
    again: requests - calm.requests,
  };
}

/** Numbers from 0 to 1, the same for a seed (mulberry32, public domain). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const HISTORY_CASES: readonly HistoryCase[] = [
  ...VICTIMS.map((victim) => ({
    name: `the ${victim} is killed while a quarter is downloaded`,
    round: (ground: HistoryGround, number: number) => killedRound(ground, [victim], number + 1, QUARTER),
  })),
  {
    name: 'worker, database, broker and store are killed while a year is downloaded',
    round: (ground, number) => killedRound(ground, VICTIMS, number + 1_000, YEAR),
  },
];
