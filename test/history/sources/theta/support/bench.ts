/** What the tests of the source have in common. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Dataset, type ObjectSpec, objectKey, type Period, unitOf } from '../../../../../services/history/dataset.ts';
import { daysOf } from '../../../../../services/history/plan.ts';
import type { Fetched, HistorySource } from '../../../../../services/history/sources/source.ts';
import { thetaSource } from '../../../../../services/history/sources/theta/theta.ts';
import { type Clock, systemClock } from '../../../../../services/platform/clock.ts';
import type { TIERS } from '../../../../../services/platform/config/sections/history.ts';
import type { Database } from '../../../../../services/platform/database/database.ts';
import { createLogger } from '../../../../../services/platform/log/log.ts';
import { testChain } from './chain.ts';
import type { TestServer } from './server.ts';
import { startThetaV2 } from './theta-v2-server.ts';
import { startThetaV3, type ThetaServerOptions } from './theta-v3-server.ts';

export type Version = 'v3' | 'v2';

const log = createLogger({
  ...{
    level: 'error',
    format: 'json',
    file: null,
    max_size: 1,
    backup_count: 0,
    service: 'test',
    instance: 'test',
    terminal: { write: () => undefined },
  },
  component_logs: {} as never,
});

/** A terminal that ends with the test. */
export async function terminalOf(
  version: Version,
  options: Partial<ThetaServerOptions> & { rowsPerPage?: number } = {},
): Promise<TestServer> {
  const all = { chain: testChain(), ...options };
  const server = await (version === 'v3' ? startThetaV3(all) : startThetaV2(all));
  onTestFinished(() => server.close());
  return server;
}

export interface SourceOptions {
  db: Database;
  url: string | null;
  tier?: keyof typeof TIERS;
  timeout?: number;
  clock?: Clock;
  holder?: string;
  usual?: { version: Version; base: string }[];
  leaseMs?: number;
}

export function sourceOf({
  db,
  url,
  tier = 'value',
  timeout = 60,
  clock = systemClock,
  holder = 'test',
  ...more
}: SourceOptions): HistorySource {
  return thetaSource({ config: { history: { theta: { url, tier, timeout } } }, db, clock, log, holder, backoffMs: 1, ...more });
}

/** An object of AAPL that contains the day. */
export function objectOf(dataset: Dataset, day: string, more: Partial<ObjectSpec> = {}): ObjectSpec {
  const unit = unitOf(dataset);
  const name = day.slice(0, { day: 10, month: 7, year: 4 }[unit]);
  const period: Period = {
    ...{ unit, name },
    from: { day: name, month: `${name}-01`, year: `${name}-01-01` }[unit],
    to: { day: name, month: `${name}-${unit === 'month' ? Temporal.PlainYearMonth.from(name).daysInMonth : ''}`, year: `${name}-12-31` }[
      unit
    ],
  };
  const object = { ...dataset, root: 'AAPL', ...more };
  return { ...object, period, key: objectKey(object, period) };
}

/** Downloads an object into a folder that ends with the test. */
export async function fetchObject(
  source: HistorySource,
  object: ObjectSpec,
  { days = daysOf(object), signal = AbortSignal.timeout(60_000) } = {},
): Promise<Fetched> {
  const folder = await mkdtemp(join(tmpdir(), 'theta-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return source.fetch(object, days, folder, signal);
}
