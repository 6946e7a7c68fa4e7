/** Sources that only workers with a capability may ask (`stock_jobs.data_fetch.capabilities`), such as those of one region. */
import type { Config } from '../../platform/config/load.ts';
import type { TiedSource } from '../../platform/config/sections/capabilities.ts';
import { RESEARCH_SOURCES } from '../research/source.ts';

type Tied = Pick<Config, 'stock_jobs'>;

/** The capability that a worker needs to ask a source; undefined: every worker may. */
export function neededFor({ stock_jobs }: Tied, source: string): string | undefined {
  const { capabilities } = stock_jobs.data_fetch;
  return (Object.hasOwn(capabilities, source) ? capabilities[source as TiedSource] : null) ?? undefined;
}

/** Of these sources those that this worker may ask. */
export function askableBy<Source extends string>(config: Tied & Pick<Config, 'worker'>, sources: readonly Source[]): Source[] {
  return sources.filter((source) => {
    const needed = neededFor(config, source);
    return needed === undefined || config.worker.capabilities.includes(needed);
  });
}

/** The capability of a job that any of these sources can serve: that of the first, if each needs one. Where one needs none, every worker may run the job. */
export function neededForAnyOf(config: Tied, sources: readonly string[]): string | undefined {
  const needed = sources.map((source) => neededFor(config, source));
  return needed.includes(undefined) ? undefined : needed[0];
}

/** The sources that give new bars. Stored ones (`cached`) are in reach of every worker, and no reason to fetch there. */
export function barSources({ stock_jobs: { data_fetch } }: Tied): string[] {
  const { sources, alpha_vantage } = data_fetch;
  return sources.filter((source) => source !== 'cached' && (source !== 'alpha_vantage' || !!alpha_vantage.api_key));
}

/** Of these, those of fundamentals and news. */
export function researchSources(config: Tied): string[] {
  return barSources(config).filter((source) => (RESEARCH_SOURCES as readonly string[]).includes(source));
}
