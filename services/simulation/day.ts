/**
 * A day of logins on a virtual clock. Freshness, score, joining, queues, ageing, retries and budgets are the product's own functions; database, broker and sources are
 * replaced by the times that they take. Not in it: failures of sources, deaths of processes, requests by hand, schedules.
 */
import { configuredAgeing } from '../ledger/maintain/age.ts';
import { Admissions } from './admission.ts';
import { type DayOptions, meshOf } from './mesh.ts';
import type { HourFigures } from './tally.ts';
import { Workers } from './workers.ts';

export type { DayOptions } from './mesh.ts';

export interface DayFigures {
  hours: HourFigures[];
  day: HourFigures;
}

/** Steps between two reports of progress. */
const REPORTED = 20_000;

/** Errors: `ConfigError('simulate.no_source')`. */
export function simulateDay(options: DayOptions): DayFigures {
  const mesh = meshOf(options);
  const { agenda, waiting, tally, sources } = mesh;
  const workers = new Workers(mesh);
  const admissions = new Admissions(mesh, workers);
  const startMs = options.hours[0]?.startMs ?? 0;
  const repeat = (seconds: number, work: (nowMs: number) => void): void => {
    const again = (nowMs: number): void => {
      work(nowMs);
      agenda.at(nowMs + seconds * 1000, again);
    };
    agenda.at(startMs + seconds * 1000, again);
  };
  const { background, foreground } = configuredAgeing(options.config.scheduler.ageing);
  for (const duty of [background, foreground])
    if (duty !== undefined) repeat(duty.everySeconds, (nowMs) => waiting.age(duty.queues, duty.ageing, nowMs));
  repeat(options.config.scheduler.reap_interval, (nowMs) => workers.expire(nowMs));

  const coming = options.logins[Symbol.iterator]();
  let next = coming.next();
  for (let steps = 0; ; steps++) {
    const loginMs = next.done ? Number.POSITIVE_INFINITY : next.value.atMs;
    const nowMs = Math.min(loginMs, agenda.nextMs);
    if (nowMs >= options.endMs) break;
    if (steps % REPORTED === 0) options.onProgress?.(nowMs);
    tally.moveTo(nowMs, waiting.counts);
    if (next.done || agenda.nextMs <= loginMs) agenda.step();
    else {
      admissions.arrive(next.value);
      next = coming.next();
    }
  }
  tally.depth(waiting.counts);
  return tally.figures({ budgetPerMinute: sources.budgetPerMinute, idleMsPerSecond: options.costs.idleMsPerSecond });
}
