/** ThetaData, by a Theta Terminal of version 3 or 2. */
import type { Clock } from '../../../platform/clock.ts';
import type { Config } from '../../../platform/config/load.ts';
import { TIERS } from '../../../platform/config/sections/history.ts';
import type { Database } from '../../../platform/database/database.ts';
import { codeOf, messageOf, TransientError } from '../../../platform/errors.ts';
import type { Logger } from '../../../platform/log/log.ts';
import type { ObjectSpec } from '../../dataset.ts';
import { thetaLacks } from '../has.ts';
import type { HistorySource } from '../source.ts';
import { accountBudget } from './budget.ts';
import { type ClientOptions, download } from './client.ts';
import { monthsOf } from './session.ts';
import { type Terminal, terminalFinder } from './terminal.ts';
import { downloadV2 } from './v2.ts';
import { downloadV3 } from './v3.ts';

export interface ThetaOptions {
  config: { history: Pick<Config['history'], 'theta'> };
  db: Database;
  /** The database's time. */
  clock: Clock;
  log: Logger;
  /** Name of this process, for people who look at the budget. */
  holder: string;
  /** For tests: where the terminals usually listen, the milliseconds before a request is sent again, and those of the lease of a slot. */
  usual?: readonly Terminal[];
  backoffMs?: number;
  leaseMs?: number;
}

/** A free account may send 20 requests a minute. */
const FREE_PER_MINUTE = 20;
/** Expirations that a stock with weekly options has on a day: for the plan only. */
const USUAL_EXPIRATIONS = 20;

export function thetaSource(options: ThetaOptions): HistorySource {
  const { db, clock, log, holder, backoffMs, leaseMs } = options;
  const { url, tier, timeout } = options.config.history.theta;
  const terminals = terminalFinder(url, options.usual);
  const budget = accountBudget({
    ...{ db, clock, log, holder, account: 'theta' },
    // The terminal of version 2 answers half as many at once.
    slots: () => (terminals.last?.version === 'v2' ? Math.max(1, TIERS[tier] / 2) : TIERS[tier]),
    ...(tier === 'free' && { perMinute: FREE_PER_MINUTE }),
    ...(leaseMs !== undefined && { leaseMs }),
  });
  const client: ClientOptions = { budget, clock, log, timeoutMs: timeout * 1000, backoffMs };

  /** The error to throw: a terminal that went away, or is of another version now, says so. */
  async function explained(error: unknown, asked: Terminal, signal: AbortSignal): Promise<unknown> {
    if (!['theta.network', 'theta.no_endpoint'].includes(codeOf(error))) return error;
    terminals.forget();
    const now = await terminals.find(signal);
    if (now.base === asked.base) return error;
    return new TransientError(
      'theta.other_terminal',
      `the terminal at ${asked.base} is gone and one at ${now.base} answers; it is asked instead: ${messageOf(error)}`,
    );
  }

  return {
    name: 'theta',
    refuses: (dataset) => thetaLacks(dataset, tier),
    calls: (object, days) => callsOf(object, days, terminals.last?.version ?? 'v3'),
    async fetch(object, days, folder, signal) {
      const terminal = await terminals.find(signal);
      const asked = download(client, { base: terminal.base, folder, signal });
      try {
        const downloaded = await (terminal.version === 'v3' ? downloadV3 : downloadV2)(object, days, asked);
        return { ...downloaded, requests: asked.requests, version: `theta ${terminal.version}` };
      } catch (error) {
        signal.throwIfAborted();
        throw await explained(error, terminal, signal);
      }
    },
  };
}

/** Without the pages of version 2 and the parts of what is too large, which nobody knows before. */
function callsOf(object: ObjectSpec, days: readonly string[], version: Terminal['version']): number {
  const { asset, schema, filter } = object;
  if (schema === 'eod') return asset === 'option' ? days.length : monthsOf(days).length;
  if (asset === 'stock' || schema === 'quote' || version === 'v2') return 1;
  return 1 + (filter === undefined ? USUAL_EXPIRATIONS : Math.min(USUAL_EXPIRATIONS, Math.ceil((filter.maxDte + 1) / 7)));
}
