import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type RunningMesh, startMesh } from '../running-mesh.ts';

const MAIN = new URL('../../../services/main.ts', import.meta.url).pathname;
const SCRIPT = '/usr/bin/script';

let mesh: RunningMesh;
beforeAll(async () => {
  mesh = await startMesh();
  await mesh.run('portfolio', 'import', mesh.file('people.csv', 'user,symbol,quantity,cost\nalice,AAPL,10,100\n'));
});
afterAll(() => mesh.stop());

let child: ChildProcess | undefined;
afterEach(() => {
  child?.kill('SIGKILL');
  child = undefined;
});

function start(command: string, args: readonly string[]): { child: ChildProcess; seen: () => string } {
  const started = spawn(command, args, { env: { ...process.env, TERM: 'xterm-256color' }, stdio: ['pipe', 'pipe', 'pipe'] });
  child = started;
  let text = '';
  started.stdout?.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  return { child: started, seen: () => text };
}

const shows = (seen: () => string, pattern: RegExp | string) =>
  expect.poll(() => stripVTControlCharacters(seen()), { timeout: 15_000, interval: 20 }).toMatch(pattern);

test('without a terminal top prints a line at once, and ends with 0 when it is told to', async () => {
  const { child: running, seen } = start(process.execPath, [MAIN, 'top', '--config', mesh.configFile]);
  await shows(seen, /^\d{4}-\d\d-\d\dT\S+ +ready \d+ +running \d+ .* workers 1 \(\d of 5 slots busy\) +broker online\n/);
  const ended = once(running, 'exit');
  running.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});

test.skipIf(!existsSync(SCRIPT))('on a terminal top shows queues, workers and the feed, and q gives the terminal back', async () => {
  const command = `stty cols 100 rows 30; ${process.execPath} ${MAIN} top --config ${mesh.configFile}`;
  const { child: running, seen } = start(SCRIPT, ['-qec', command, '/dev/null']);
  await shows(seen, /foreground +\d+/);
  await shows(seen, /worker +worker-1/);
  await shows(seen, /broker online/);
  await mesh.run('login', 'alice');
  await shows(seen, /stock\/fetch\/AAPL +priority \d, user_login alice/);
  await shows(seen, /AAPL fetch completed/);
  const ended = once(running, 'exit');
  running.stdin?.write('q');
  expect(await ended).toEqual([0, null]);
  expect(seen()).toContain('\x1b[?1049h\x1b[?25l');
  // The last that is written: the cursor and the screen as they were.
  expect(seen().trimEnd().endsWith('\x1b[?7h\x1b[?25h\x1b[?1049l')).toBe(true);
});
