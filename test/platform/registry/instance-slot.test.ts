import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { takeInstanceSlot } from '../../../services/platform/registry/instance-slot.ts';

const MODULE = fileURLToPath(new URL('../../../services/platform/registry/instance-slot.ts', import.meta.url));

function dataFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'slots-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

async function take(folder: string, service = 'logins') {
  const slot = await takeInstanceSlot(folder, service);
  onTestFinished(() => slot.release());
  return slot;
}

/** A process that holds a slot until it is killed; resolves with its name. */
async function holder(folder: string): Promise<{ child: ChildProcess; instance: string }> {
  const script = `const { takeInstanceSlot } = await import(${JSON.stringify(MODULE)});
    const slot = await takeInstanceSlot(${JSON.stringify(folder)}, 'logins');
    console.log(slot.instance);
    setInterval(() => slot, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, instance: line.toString().trim() };
}

test('two processes of one service have two names, and each finds its own again', async () => {
  const folder = dataFolder();
  const [first, second] = [await take(folder), await take(folder)];
  expect(first.instance).toMatch(/^logins-[A-Za-z0-9_-]+-[0-9a-f]{6}-1$/);
  expect(second.instance).toBe(first.instance.replace(/1$/, '2'));
  first.release();
  expect((await take(folder)).instance).toBe(first.instance);
});

test('the slot of a process that is killed at this moment is taken again by the next one', async () => {
  const folder = dataFolder();
  for (let round = 0; round < 3; round++) {
    const killed = await holder(folder);
    killed.child.kill('SIGKILL');
    const heir = await takeInstanceSlot(folder, 'logins');
    heir.release();
    expect(heir.instance).toBe(killed.instance);
  }
});

test('a slot with a kept session is taken before the others, one that its process has left is not', async () => {
  const folder = dataFolder();
  const [first, second, third] = [await take(folder), await take(folder), await take(folder)];
  first.release({ left: true });
  third.release();
  expect((await take(folder)).instance).toBe(third.instance);
  second.release({ left: true });
  expect((await take(folder)).instance).toBe(first.instance);
});

test('two data folders and two services of one host have different names', async () => {
  const folder = dataFolder();
  const names = [await take(folder), await take(dataFolder()), await take(folder, 'other')].map(({ instance }) => instance);
  expect(new Set(names).size).toBe(3);
});

test('a data folder that cannot hold the lock is refused with the way out', async () => {
  const file = join(dataFolder(), 'file');
  writeFileSync(file, '');
  await expect(takeInstanceSlot(file, 'logins')).rejects.toMatchObject({
    code: 'instance.no_slot',
    message: expect.stringMatching(/cannot hold the lock of logins-.*--instance/),
  });
});
