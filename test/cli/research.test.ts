import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningMesh, startMesh } from './running-mesh.ts';

let mesh: RunningMesh;
beforeAll(async () => {
  mesh = await startMesh();
});
afterAll(() => mesh.stop());

test('research with --wait gets figures and headlines, and the symbol shows them with source and day, marked as made up', async () => {
  const ran = await mesh.run('research', 'IBM', '--wait');
  expect(ran).toMatchObject({ code: 0 });
  expect(ran.stdout).toMatch(/^IBM +simulated .*made-up/m);
  // Research is no price: it says nothing of whether one is fresh.
  expect(ran.stdout).toMatch(/^done after \d+ ms \(1 job\)$/m);
  const { stdout } = await mesh.run('symbol', 'IBM');
  expect(stdout).toMatch(/^figures +simulated, .*, made up$/m);
  expect(stdout).toMatch(/^market value +[\d.]+[MBT] USD +\d{4}-\d\d-\d\d$/m);
  expect(stdout).toMatch(/Simulated News +IBM /);
  expect(stdout).toContain('Not investment advice');
  expect(stdout).toMatch(/^model's opinion +no language model is configured/m);
  const known = JSON.parse((await mesh.run('symbol', 'IBM', '--json')).stdout);
  expect(known).toMatchObject({ research: { fundamentals: { source: 'simulated', simulated: true } }, model_analysis: null });
});

test('without a model its opinion is refused with the way out', async () => {
  const ran = await mesh.run('opinion', 'IBM');
  expect(ran).toMatchObject({ code: 2, stdout: '' });
  expect(ran.stderr).toMatch(/^stockmesh: no language model is configured.*set model.base_url and model.name.*\n$/);
});
