import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { takeInstanceName } from '../../../services/platform/registry/instance-name.ts';

const MODULE = fileURLToPath(new URL('../../../services/platform/registry/instance-name.ts', import.meta.url));

function dataFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'names-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

async function take(folder: string, instance: string) {
  const name = await takeInstanceName(folder, instance);
  onTestFinished(name.release);
  return name;
}

/** A process that holds the name until it is killed. */
async function holder(folder: string, instance: string): Promise<ChildProcess> {
  const script = `const { takeInstanceName } = await import(${JSON.stringify(MODULE)});
    const name = await takeInstanceName(${JSON.stringify(folder)}, ${JSON.stringify(instance)});
    console.log('held');
    setInterval(() => name, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

test('a second process of a name is refused in one line that names the first one and the way out', async () => {
  const folder = dataFolder();
  const first = await holder(folder, 'w1');
  await expect(takeInstanceName(folder, 'w1')).rejects.toMatchObject({
    code: 'instance.in_use',
    message: expect.stringMatching(
      new RegExp(`^another process \\(${first.pid}, since .*"w1" over ${folder}: .*kill ${first.pid}.*--instance.*$`),
    ),
  });
});

test('the name of a process that is killed at this moment is free', async () => {
  const folder = dataFolder();
  for (let round = 0; round < 3; round++) {
    const killed = await holder(folder, 'w1');
    killed.kill('SIGKILL');
    (await takeInstanceName(folder, 'w1')).release();
  }
});

test('another name, or the same one over another data folder, is free; a released one too', async () => {
  const folder = dataFolder();
  const first = await take(folder, 'w1');
  await take(folder, 'w2');
  await take(dataFolder(), 'w1');
  first.release();
  await take(folder, 'w1');
});

test('a name of any characters is held', async () => {
  const folder = dataFolder();
  const name = `../${'ж'.repeat(61)}`;
  await take(folder, name);
  await expect(takeInstanceName(folder, name)).rejects.toMatchObject({ code: 'instance.in_use' });
});

test('over a data folder that cannot be written to, the name is held in the temporary folder', async () => {
  const file = join(dataFolder(), 'file');
  writeFileSync(file, '');
  await take(file, 'w1');
  await expect(takeInstanceName(file, 'w1')).rejects.toMatchObject({ code: 'instance.in_use' });
});
