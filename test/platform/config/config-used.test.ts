import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { usedKeys } from '../../../services/platform/config/keys.ts';
import { type PropertyReads, propertyReads } from './property-reads.ts';

const ROOT = new URL('../../..', import.meta.url).pathname;

/** All code but the configuration's own, which reads each key. */
function sources(): string[] {
  return globSync('{services,broker,sql}/**/*.ts', { cwd: ROOT })
    .filter((path) => !path.startsWith('services/platform/config/'))
    .map((path) => readFileSync(`${ROOT}${path}`, 'utf8'));
}

/** Sections that are handed over whole, with the type as which they are read. */
const HANDED_OVER: Record<string, string> = { logging: 'LogOptions' };

/**
 * Keys that no code reads. A name that only one key has, and that is no everyday word (it has an underscore), may be read from anything; every other one must be
 * read from its section.
 */
function unread(keys: readonly string[], code: readonly string[]): string[] {
  const reads: PropertyReads[] = code.map(propertyReads);
  const names = keys.map((key) => key.split('.').at(-1)!);
  return keys.filter((key) => {
    const [name, named] = key.replace('[]', '').split('.').reverse() as [string, string];
    const section = HANDED_OVER[named] ?? named;
    const isUnmistakable = name.includes('_') && names.filter((other) => other === name).length === 1;
    return !reads.some(
      (file) => file.inSection.has(`${section}.${name}`) || file.inSection.has(`${section}.*`) || (isUnmistakable && file.names.has(name)),
    );
  });
}

test.each([
  ['a property', 'const pause = config.jobs.delay;'],
  ['a property that may be absent', 'const pause = options?.jobs?.delay;'],
  ['a property by its text', "const pause = config['jobs']['delay'];"],
  ['a destructured property', 'const { jobs: { delay } } = config;'],
  ['a property of a destructured section', 'const { jobs } = config; wait(jobs.delay);'],
  ['a property of a section under another name', 'const rules = config.jobs; wait(rules.delay);'],
  ['a property of a parameter', "function f({ delay }: Config['jobs']) {}"],
  ['a property of each item', 'for (const { delay } of config.jobs) wait(delay);'],
  ['a property of a named type', "type Jobs = Config['jobs']; function f({ delay }: Omit<Jobs, 'pause'>) {}"],
  ['a property of what a function of the file is given', 'const f = ({ delay }: { delay: number }) => delay; f(config.jobs);'],
  ['each property by its name', 'wait(config.jobs[name]);'],
  ['each property in turn', 'for (const [name, value] of Object.entries(config.jobs)) wait(value);'],
  ['a property of an item that a callback gets', 'config.jobs.map((job) => job.delay);'],
])('%s is read', (_, code) => {
  expect(unread(['jobs.delay'], [code])).toEqual([]);
});

test.each([
  ['a comment', '// config.jobs.delay'],
  ['a text', "log('jobs.delay', config.jobs);"],
  ['a property that is written down', 'const jobs = { delay: 1 };'],
  ['the property of another section', 'wait(config.other.delay, config.jobs.pause);'],
  ['a parameter of the same name', 'function jobs(delay: number) { return delay; }'],
])('%s is no reading', (_, code) => {
  expect(unread(['jobs.delay'], [code])).toEqual(['jobs.delay']);
});

test('a name of one key only, with an underscore, is read from anything', () => {
  expect(unread(['jobs.retry_delay', 'a.max_retries', 'b.max_retries'], ['wait(x.retry_delay, x.max_retries);'])).toEqual([
    'a.max_retries',
    'b.max_retries',
  ]);
});

test('a key that only the configuration names is found among the real ones', () => {
  const ghosts = ['queue.priority_queues.foreground.priority', 'jobs.timeouts.nothing', 'scheduler.schedules[].priority', 'logging.colour'];
  expect(unread([...ghosts, 'logging.level', 'queue.priority_queues.foreground.ttl'], sources())).toEqual(ghosts);
});

test('every key of the configuration is read somewhere in the services', () => {
  // Ranking takes its rules by computed names; test/market/options/rules-used.test.ts changes each of them. So do the caps of the model: test/model/ask.test.ts.
  // Picks take their rules as a whole; test/job-types/picks/picks.test.ts compares them with those that the tests of the screen move.
  const named = usedKeys().filter(
    (key) => !/^(ranking\.rules|picks\.rules|model\.caps)\./.test(key) || key === 'ranking.rules.risk_free_rate',
  );
  expect(unread(named, sources())).toEqual([]);
});
