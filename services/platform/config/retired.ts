/** Keys that files of earlier deployments hold and that have no effect here, each with the reason. `*` stands for one name or list position. */
import { COMMAND } from '../command-name.ts';

interface RetiredKey {
  key: string;
  why: string;
  /** The one value without a warning, because stockmesh behaves that way anyway. */
  unless?: unknown;
}

const BANDS =
  'the priorities of the queues are fixed (1-3, 4-6 and 7-10); the priority of a job comes from its cause (jobs.priority_rules) and its score';

export const RETIRED: readonly RetiredKey[] = [
  { key: 'queue.backend', why: 'MQTT is the only message bus', unless: 'mqtt' },
  { key: 'queue.topic_prefix', why: 'topics are fixed, see asyncapi.yaml' },
  { key: 'queue.priority_queues.*.topic_prefix', why: 'topics are fixed, see asyncapi.yaml' },
  { key: 'queue.priority_queues.foreground.priority', why: BANDS, unless: 1 },
  { key: 'queue.priority_queues.background_fetch.priority', why: BANDS, unless: 5 },
  { key: 'queue.priority_queues.background_analysis.priority', why: BANDS, unless: 8 },
  { key: 'queue.mqtt.topics', why: 'topics are fixed, see asyncapi.yaml' },
  { key: 'jobs.priority_rules.maintenance', why: 'the scheduler does maintenance itself, without jobs' },
  {
    key: 'portfolio.sources.*.database_table',
    why: `holdings are stored per user in the database; import them with "${COMMAND} portfolio import"`,
  },
  { key: 'integration.web_ui', why: 'the pages of the earlier web application are not served' },
  { key: 'integration.python', why: 'no Python script is run; fetching and analysis are built in' },
  { key: 'integration.apis.openai.*', why: 'of the language model all other settings are those of the section model' },
  { key: 'integration.openai.*', why: 'of the language model all other settings are those of the section model' },
  { key: 'integration.apis', why: 'the limits of all sources are stock_jobs.data_fetch.rate_limit, timeout and max_retries' },
  { key: 'integration.cache', why: 'the database is the cache' },
  { key: 'integration', why: 'stockmesh does not call the earlier application' },
];

/** Other spellings of used keys. */
export const ALIASES: Readonly<Record<string, string>> = {
  'freshness.market_open': 'portfolio.freshness_schedule.market_open',
  'freshness.market_closed': 'portfolio.freshness_schedule.market_closed',
  'freshness.weekend': 'portfolio.freshness_schedule.weekend',
  'freshness.default': 'stock_jobs.portfolio_priority.data_staleness_threshold',
  'integration.apis.openai.model': 'model.name',
  'integration.apis.openai.max_tokens': 'model.max_tokens',
  'integration.apis.openai.timeout': 'model.timeout',
  'integration.openai.model': 'model.name',
  'integration.openai.max_tokens': 'model.max_tokens',
  'integration.openai.timeout': 'model.timeout',
};

const PATTERNS = RETIRED.map((entry) => ({ entry, names: entry.key.split('.') }));

/** The entry that retires a path or a section above it. A section with entries for its own keys is read first, since their reasons are more specific. */
export function retiredEntry(path: string, value: unknown): RetiredKey | undefined {
  const given = path.split('.');
  const found = PATTERNS.find(
    ({ names }) => names.length <= given.length && names.every((name, index) => name === '*' || name === given[index]),
  );
  if (found === undefined) return undefined;
  const opens = typeof value === 'object' && value !== null && RETIRED.some(({ key }) => key.startsWith(`${path}.`));
  return opens ? undefined : found.entry;
}
