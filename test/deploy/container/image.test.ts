/** The Dockerfile: by a linter, and by the rules that an engine does not check. Its steps are run by "npm run trial:container". */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { validate } from 'dockerfile-utils';
import { expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { ROOT } from '../../docs/markdown.ts';
import { DOCKERFILE, isInContext, stages } from './dockerfile.ts';

const steps = stages().flatMap((stage) => stage.steps);
const final = stages().at(-1)?.steps ?? [];
const of = (keyword: string) => final.filter((step) => step.keyword === keyword);

test('the linter finds nothing', () => {
  expect(validate(DOCKERFILE)).toEqual([]);
  expect(validate('FORM debian').length).toBeGreaterThan(0);
});

test('what builds stays behind: the last of several stages installs no npm', () => {
  expect(stages().length).toBeGreaterThan(1);
  expect(
    of('RUN')
      .map(({ text }) => text)
      .join(),
  ).not.toMatch(/\bnpm\b/);
});

test('the image runs as a user without rights, with a health check, and takes signals itself', () => {
  expect(of('USER').map(({ words }) => words[0])).toEqual(['10001:10001']);
  expect(of('HEALTHCHECK')).toHaveLength(1);
  // The form of a list starts no shell, which would keep SIGTERM to itself.
  expect(JSON.parse(of('ENTRYPOINT')[0]?.text ?? '')).toEqual(['node_modules/.bin/node', 'services/main.ts']);
});

test('each file that is copied from the checkout is there and reaches the build', () => {
  const copied = steps.filter(({ keyword, from }) => keyword === 'COPY' && from === undefined).flatMap(({ words }) => words.slice(0, -1));
  expect(copied.length).toBeGreaterThan(8);
  for (const path of copied) expect([path, existsSync(join(ROOT, path)), isInContext(path)]).toEqual([path, true, true]);
});

test('no packages, data, secrets, tests or documents reach the build', () => {
  for (const path of [
    'node_modules/zod/package.json',
    'services/dashboard/node_modules/x',
    'services/dashboard/dist/index.html',
    'data/secrets.json',
  ])
    expect([path, isInContext(path)]).toEqual([path, false]);
  for (const path of ['.git/config', '.env', 'deploy/container/secrets/database', 'test/house.ts', 'docs/operate.md', 'deploy/kubernetes'])
    expect([path, isInContext(path)]).toEqual([path, false]);
  expect(isInContext('services/main.ts')).toBe(true);
});

test('the configuration in the image is valid, listens on all addresses, and its ports are those that the image names', () => {
  const files = [join(ROOT, 'deploy/container/stockmesh.yaml')];
  const { gateway, monitoring } = loadConfig({ environment: 'production', files, env: {} }).config;
  expect([gateway.host, monitoring.host]).toEqual(['0.0.0.0', '0.0.0.0']);
  const ports = [gateway.port, monitoring.port, ...Object.values(monitoring.ports)];
  expect(of('EXPOSE')[0]?.words.map(Number).sort()).toEqual(ports.toSorted());
});

test('the health check ends with 0 only where a service answers and is well', async () => {
  let status = 200;
  const server = createServer((_, response) => void response.writeHead(status).end('{"status":"…"}'));
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => void server.close());
  const script = join(ROOT, 'deploy/container/healthy.mjs');
  const { port } = server.address() as AddressInfo;
  const look = (at: number) =>
    new Promise((resolve) => {
      execFile(process.execPath, [script], { env: { ...process.env, STOCKMESH_HEALTH_PORTS: String(at) } }, (error, output) =>
        resolve({ code: error === null ? 0 : error.code, output }),
      );
    });
  expect(await look(port)).toMatchObject({ code: 0 });
  status = 503;
  expect(await look(port)).toMatchObject({ code: 1 });
  expect(await look(1)).toEqual({ code: 1, output: 'nothing answers on the ports 1\n' });
});

test('the engine gives the health check its own limit and five seconds for its start', () => {
  const [, seconds] = /--timeout=(\d+)s/.exec(readFileSync(join(ROOT, 'deploy/container/Dockerfile'), 'utf8')) ?? [];
  const [, limit = ''] = /AbortSignal\.timeout\(([\d_]+)\)/.exec(readFileSync(join(ROOT, 'deploy/container/healthy.mjs'), 'utf8')) ?? [];
  expect(Number(seconds) * 1_000).toBeGreaterThanOrEqual(Number(limit.replace('_', '')) + 5_000);
});

test('each shell script is one', () => {
  for (const file of ['secrets.sh', 'broker.sh', 'accounts.sh'])
    expect(spawnSync('bash', ['-n', join(ROOT, 'deploy/container', file)], { encoding: 'utf8' }).stderr).toBe('');
});
