/** What a key sees and may do. */
import { expect } from 'vitest';
import { journey, journeys } from './support/journeys.ts';

const { mesh, openAs } = journeys();
const hold = (user: string, symbol: string) =>
  mesh.operator.put(`/v1/users/${user}/portfolio`, { positions: [{ symbol, quantity: 10, cost: 100 }] });

journey('a key of alice begins at the portfolio of alice, and no answer names bob', async () => {
  await hold('alice', 'AAPL');
  await hold('bob', 'IBM');
  const alice = await mesh.caller('user:alice');
  const { page, expectClean } = await openAs('/ui/no-such-page', alice.key);
  const heard: Promise<string>[] = [];
  page.on('response', (response) => {
    if (/\/v1\//.test(response.url()) && !/\/v1\/events$/.test(response.url())) heard.push(response.text().catch(() => ''));
  });
  await page.goto('/ui/');
  await page.waitForURL(/portfolios\/alice/);
  await page.getByText('Live', { exact: true }).waitFor();
  await mesh.operator.post('/v1/events/login', { userId: 'bob' });
  await page.getByRole('button', { name: 'Sign alice in' }).click();
  await expect.poll(() => page.getByTestId('fresh-count').textContent(), { timeout: 15_000 }).toBe('1/1');
  const nav = page.getByRole('navigation', { name: 'Pages' });
  await nav.getByRole('link', { name: 'Jobs' }).click();
  await page.getByRole('link', { name: 'AAPL' }).first().waitFor();
  expect((await Promise.all(heard)).filter((text) => /bob|IBM/.test(text))).toEqual([]);
  expect(await page.locator('body').textContent()).not.toMatch(/bob|IBM/);
  await expectClean();
});

journey('a key of two users begins at a list of them', async () => {
  await hold('alice', 'AAPL');
  const both = await mesh.caller('user:alice', 'user:carol');
  const { page, expectClean } = await openAs('/ui/', both.key);
  const list = page.getByRole('group', { name: 'Your portfolios' });
  await list.getByRole('link', { name: 'carol' }).waitFor();
  await expectClean();
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Jobs' }).click();
  await page.getByLabel('User').waitFor();
  expect(await page.getByRole('alert').count()).toBe(0);
});

journey('a key that reads finds each button that changes something disabled, with the reason', async () => {
  await hold('alice', 'AAPL');
  const [{ id }] = (await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL' })).body.jobs;
  const reader = await mesh.caller('read');
  const { page } = await openAs('/ui/jobs?state=ready,running,completed', reader.key);
  await page.getByLabel('Choose fetch AAPL').check();
  const changes = /^(New job|Cancel|Retry|Redrive|Run again|Start now|Sign .* in|Replace)/;
  for (const path of ['', `/ui/jobs/${id}`, '/ui/portfolios', '/ui/portfolios/alice', '/ui/symbols/AAPL']) {
    if (path !== '') await page.goto(path);
    const button = page.getByRole('button', { name: /^(New job|Run again|Sign alice in|Fetch now)/i }).first();
    await button.waitFor();
    const enabled = await page.getByRole('button', { name: changes, disabled: false }).allTextContents();
    expect(enabled, path).toEqual([]);
    expect(await button.getAttribute('title'), path).toMatch(/lacks the scope/);
  }
});

journey('a key that is revoked while a page is open leads to the form, and the address stays', async () => {
  const reader = await mesh.caller('read');
  const { page } = await openAs('/ui/jobs?state=failed', reader.key);
  await page.getByRole('heading', { name: 'Jobs', level: 1 }).waitFor();
  await mesh.db.run('UPDATE api_keys SET revoked_at = NOW(3) WHERE name = ?', ['read']);
  // Whatever asks next.
  await page.getByLabel('Type').selectOption('fetch');
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  expect(new URL(page.url()).search).toBe('?state=failed&type=fetch');
});

journey('by keyboard alone: the finder leads to a symbol, and a dialog gives the focus back', async () => {
  await hold('alice', 'AAPL');
  const { page } = await openAs('/ui/jobs');
  const make = page.getByRole('button', { name: 'New job …' });
  await make.focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByLabel('Type').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await expect.poll(() => page.evaluate('document.activeElement.textContent')).toBe('New job …');
  await page.keyboard.press('Control+K');
  await page.getByRole('combobox', { name: /Symbol, user/ }).waitFor();
  await page.keyboard.type('alice');
  await page.getByRole('option', { name: /alice/ }).waitFor();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'alice', level: 1 }).waitFor();
});
