/** Which datasets each source has, and which sources a download can come from. Light: the command line loads it with the definitions of the job types. */
import { neededFor } from '../../market/sources/capabilities.ts';
import type { Config } from '../../platform/config/load.ts';
import { type Dataset, isDaily } from '../dataset.ts';
import type { HistorySourceName } from './source.ts';

type Kind = Pick<Dataset, 'asset' | 'schema'>;

/** Why a source lacks a dataset, as a half sentence; undefined when it has it. */
type Lack = (kind: Kind) => string | undefined;

export const leanLacks: Lack = ({ schema }) => (schema === 'earnings' ? 'it has no earnings' : undefined);

export const yahooLacks: Lack = ({ asset, schema }) => {
  if (asset !== 'stock') return 'it has stocks only';
  return isDaily(schema) ? undefined : 'it has prices at the end of the day and earnings only';
};

export const simulatedLacks: Lack = ({ asset, schema }) =>
  asset === 'option' && schema === 'earnings' ? 'options have no earnings' : undefined;

/** `tier`: the subscription of the account. */
export function thetaLacks({ schema }: Kind, tier: Config['history']['theta']['tier']): string | undefined {
  if (schema === 'earnings') return 'it has no earnings';
  if (tier === 'free' && schema !== 'eod') return 'its free subscription has prices at the end of the day only (history.theta.tier)';
  return undefined;
}

type Settings = Pick<Config, 'history' | 'stock_jobs'>;

const LACKS: Readonly<Record<HistorySourceName, (kind: Kind, config: Settings) => string | undefined>> = {
  theta: (kind, { history }) => thetaLacks(kind, history.theta.tier),
  lean: (kind, { stock_jobs }) => lackOfSetting('lean', stock_jobs) ?? leanLacks(kind),
  yahoo: yahooLacks,
  simulated: (kind, { stock_jobs }) => lackOfSetting('simulated', stock_jobs) ?? simulatedLacks(kind),
};

/** The setting without which a source refuses everything; undefined when it is there. */
export function lackOfSetting(name: 'lean' | 'simulated', { data_fetch }: Config['stock_jobs']): string | undefined {
  if (name === 'lean') return data_fetch.lean.path === null ? 'stock_jobs.data_fetch.lean.path names no folder' : undefined;
  return data_fetch.simulated.enabled ? undefined : 'stock_jobs.data_fetch.simulated.enabled is off';
}

/** The capability that a worker needs for a source of history; undefined: every worker may ask it. */
export const neededForHistory = (config: Pick<Config, 'stock_jobs'>, name: HistorySourceName): string | undefined =>
  neededFor(config, name === 'yahoo' ? 'yahoo_finance' : name);

/** The capability of a download: that of the store, where the files go; else that of its first source, if each source that has the dataset needs one. */
export function neededForDownload(config: Settings, kind: Kind, only?: HistorySourceName): string | undefined {
  const { sources, store } = config.history;
  if (store.capability !== null) return store.capability;
  const able = (only === undefined ? sources : [only]).filter((name) => LACKS[name](kind, config) === undefined);
  const needed = able.map((name) => neededForHistory(config, name));
  return needed.includes(undefined) ? undefined : needed[0];
}
