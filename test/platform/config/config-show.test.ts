import { expect, test } from 'vitest';
import { configJson, describeConfig } from '../../../services/platform/config/show.ts';
import { load } from './config-files.ts';

const TEXT = `job_processor:\n  database:\n    password: hunter2\n    url: \${DB}\n  worker:\n    name: desk\n`;
const ENV = { env: { DB: 'mysql://u:hunter3@h/d' } };

test('every key is a row with its value and where that comes from', () => {
  const rows = describeConfig(load(TEXT, { ...ENV, overrides: { 'worker.poll_interval': { value: 9, option: '--poll' } } }));
  const row = (key: string) => rows.find((found) => found.key === key);
  expect(row('worker.name')).toEqual({ key: 'worker.name', value: 'desk', origin: expect.stringMatching(/1\.yaml:6$/) });
  expect(row('worker.poll_interval')).toEqual({ key: 'worker.poll_interval', value: 9, origin: 'option --poll' });
  expect(row('worker.grace_period')).toEqual({ key: 'worker.grace_period', value: 20, origin: 'default' });
  expect(row('stock_jobs.data_fetch.retry_backoff')?.value).toEqual([30, 120, 300]);
});

test('a secret is shown as dots with its origin, one that is not set as null', () => {
  const rows = describeConfig(load(TEXT, ENV));
  expect(rows.find(({ key }) => key === 'database.password')).toMatchObject({ value: '•••', origin: expect.stringMatching(/1\.yaml:3$/) });
  expect(rows.find(({ key }) => key === 'database.url')).toMatchObject({ value: '•••', origin: 'environment DB' });
  expect(rows.find(({ key }) => key === 'queue.mqtt.password')).toMatchObject({ value: null, origin: 'default' });
  expect(JSON.stringify(rows)).not.toContain('hunter');
});

test('secrets are shown when asked for', () => {
  expect(describeConfig(load(TEXT, ENV), { secrets: 'shown' }).find(({ key }) => key === 'database.password')?.value).toBe('hunter2');
});

test('the JSON names the environment, the warnings and the same rows', () => {
  const loaded = load(`${TEXT}  queue: {topic_prefix: a}\n`, ENV);
  const json = JSON.parse(JSON.stringify(configJson(loaded)));
  expect(json).toEqual({
    environment: 'development',
    warnings: [expect.stringContaining('queue.topic_prefix')],
    keys: describeConfig(loaded),
  });
});
