/** Signing in and out, as a person does it in a browser. */
import { expect } from 'vitest';
import { createCode } from '../../services/gateway/auth/sessions.ts';
import { watchPage } from './support/browser.ts';
import { journey, journeys } from './support/journeys.ts';

const { mesh, open, openAs } = journeys();
const inAMinute = () => new Date(Date.now() + 60_000);

journey('a pasted key signs in, a reload and a second tab keep it, and signing out ends it', async () => {
  const { page, context, expectClean } = await open('/ui/jobs?state=failed');
  await page.locator('input[type=password]').fill(mesh.operator.key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Jobs', level: 1 }).waitFor();
  // The address that was opened is the one that is shown.
  expect(new URL(page.url()).search).toBe('?state=failed');
  await page.reload();
  await page.getByRole('heading', { name: 'Jobs', level: 1 }).waitFor();
  const second = await watchPage(context, mesh.gateway.url);
  await second.page.goto('/ui/mesh');
  await second.page.getByRole('heading', { name: 'Mesh', level: 1 }).waitFor();
  await second.expectClean();
  await second.page.getByRole('button', { name: /▾/ }).click();
  await second.page.getByRole('button', { name: 'Sign out' }).click();
  await second.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  // Without a touch.
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await expectClean();
});

journey('a wrong key is refused in words', async () => {
  const { page, faults } = await open('/ui/');
  await page.locator('input[type=password]').fill('smk_wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').waitFor();
  expect(await page.getByRole('alert').textContent()).toMatch(/key/i);
  expect(faults).toEqual([]);
});

journey('the code of a link signs in once, and leaves the address', async () => {
  const code = await createCode(mesh.db, mesh.operator.id, inAMinute());
  const first = await open(`/ui/#code=${code}`);
  await first.page.getByRole('heading', { name: 'Mesh', level: 1 }).waitFor();
  expect(first.page.url()).not.toContain(code);
  await first.expectClean();
  const again = await open(`/ui/#code=${code}`);
  await again.page.getByRole('alert').waitFor();
  expect(await again.page.getByRole('button', { name: 'Sign in' }).isVisible()).toBe(true);
});

journey('a key of one user sees no operations', async () => {
  const alice = await mesh.caller('user:alice');
  const { page } = await openAs('/ui/jobs', alice.key);
  await page.getByRole('heading', { name: 'Jobs', level: 1 }).waitFor();
  expect(await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Mesh' }).count()).toBe(0);
});
