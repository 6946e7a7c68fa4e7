/** The configured sources of prices as a simulated fetch meets them: their budget is that of the product, their answers come after a simulated time. */
import type { SourceName } from '../market/bars/bars.ts';
import { type BudgetWindow, budgetUsedUp, budgetWaitMs, countRequest, MOST_WAIT_MS } from '../market/sources/budget.ts';
import { budgetsOf } from '../market/sources/configured.ts';
import type { Config } from '../platform/config/load.ts';
import { ConfigError, type TransientError } from '../platform/errors.ts';

/** `wait`: ask again then. `stale`: the stored data once more. */
export type SourceReply =
  | { kind: 'answer'; local: boolean }
  | { kind: 'wait'; untilMs: number }
  | { kind: 'stale' }
  | { kind: 'error'; error: TransientError };

const WINDOW_SECONDS = 60;

export class SimulatedSources {
  readonly #chain: readonly SourceName[];
  readonly #limits: Partial<Record<SourceName, number>>;
  readonly #windows = new Map<SourceName, BudgetWindow>();

  /** Errors: `ConfigError('simulate.no_source')`. */
  constructor(config: Config) {
    const { sources, alpha_vantage, simulated, lean } = config.stock_jobs.data_fetch;
    const usable: Record<SourceName, boolean> = {
      yahoo_finance: true,
      alpha_vantage: Boolean(alpha_vantage.api_key),
      lean: lean.path !== null,
      cached: true,
      simulated: simulated.enabled,
    };
    const made = sources.filter((name) => usable[name]);
    const real = made.filter((name) => name !== 'simulated');
    // As in the product: real data are never continued by simulated ones, and stored simulated ones are never given in place of newer ones.
    this.#chain = real.some((name) => name !== 'cached') ? real : made.filter((name) => name !== 'cached');
    this.#limits = budgetsOf(config);
    if (this.#chain.length === 0)
      throw new ConfigError(
        'simulate.no_source',
        `stock_jobs.data_fetch.sources has no source that can be asked: [${sources.join(', ')}]; add one`,
      );
  }

  /** Requests a minute to all sources of the chain that have a budget. */
  get budgetPerMinute(): number {
    return this.#chain.reduce((sum, name) => sum + (this.#limits[name] ?? 0), 0);
  }

  /** Asks one after the other. `sinceMs`: when this fetch first asked; */
  ask(nowMs: number, sinceMs: number, askedBudget: () => void): SourceReply {
    let refused: { name: SourceName; limit: number; waitMs: number } | undefined;
    for (const name of this.#chain) {
      if (name === 'cached') return { kind: 'stale' };
      const limit = this.#limits[name];
      if (limit === undefined) return { kind: 'answer', local: true };
      const known = this.#windows.get(name);
      // A window that is known to be used up is not counted in again.
      const isFull = known !== undefined && known.points > limit && known.expire > nowMs;
      const window = isFull ? known : countRequest(known, nowMs, WINDOW_SECONDS * 1000);
      this.#windows.set(name, window);
      const waitMs = budgetWaitMs(window, limit, nowMs);
      if (waitMs === 0) {
        askedBudget();
        return { kind: 'answer', local: false };
      }
      if (nowMs + waitMs <= sinceMs + MOST_WAIT_MS) return { kind: 'wait', untilMs: nowMs + waitMs };
      refused ??= { name, limit, waitMs };
    }
    const { name, limit, waitMs } = refused as NonNullable<typeof refused>;
    return { kind: 'error', error: budgetUsedUp(name, limit, WINDOW_SECONDS, waitMs) };
  }
}
