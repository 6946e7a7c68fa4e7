import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const PARENT = fileURLToPath(new URL('../../../services/cli/mesh/parent.ts', import.meta.url));
/** Prints its number, a dot at each tick, and that it was told to stop. A tick is longer than the interval at which it looks for its parent. */
const CHILD = `import { stopWithParent } from ${JSON.stringify(PARENT)};
  stopWithParent();
  process.once('SIGTERM', () => { console.log('stopped'); process.exit(0); });
  setInterval(() => process.stdout.write('.'), 300);
  console.log(process.pid);`;

/** A shell that runs the child and does not become it, as the one of npx does. */
function shell(env: Record<string, string>) {
  const { npm_command: _, ...rest } = process.env;
  const child = spawn('sh', ['-c', '"$0" "$@"; exit 1', process.execPath, '--input-type=module-typescript', '-e', CHILD], {
    env: { ...rest, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  onTestFinished(() => {
    try {
      process.kill(Number.parseInt(output, 10), 'SIGKILL');
    } catch {
      // It has stopped.
    }
  });
  return { child, output: () => output, closed: once(child.stdout, 'close') };
}

test('a process that npx started is told to stop when the shell of npx is gone', async () => {
  const { child, output, closed } = shell({ npm_command: 'exec' });
  await expect.poll(output).toMatch(/^\d+\n/);
  child.kill('SIGTERM');
  await closed;
  expect(output()).toMatch(/^\d+\n\.*stopped\n$/);
});

test('a process that a person started outlives the shell', async () => {
  const { child, output } = shell({});
  await expect.poll(output).toMatch(/^\d+\n/);
  child.kill('SIGTERM');
  await once(child, 'exit');
  const before = output().length;
  await expect.poll(() => output().length).toBeGreaterThan(before + 2);
  expect(output()).toMatch(/^\d+\n\.+$/);
});
