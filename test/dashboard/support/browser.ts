/** Chromium for the journeys: pages that report each error of the console, each refusal of the content policy and each request to another host. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type axe from 'axe-core';
import type { AxeResults } from 'axe-core';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { findProgram } from '../../../services/platform/machine/programs.ts';

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome'];

/** The path of the browser; undefined: this machine has none, and journeys are skipped. */
export const browserPath = (): string | undefined => findProgram(PROGRAMS) ?? ['/usr/bin/chromium'].find((path) => existsSync(path));

export const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath: browserPath() as string,
    // One process for the tabs of a profile: see `profileOf`.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--force-color-profile=srgb', '--renderer-process-limit=1'],
  });

export interface Watched {
  page: Page;
  context: BrowserContext;
  /** Errors and warnings so far; a journey that makes the server fail takes those that it means away. */
  faults: string[];
  /** Asserts that the page is clean: no fault but those that `meant` fits, no violation that axe finds. */
  expectClean(meant?: RegExp): Promise<void>;
}

/** The page of a profile of its own. */
export interface Opened extends Watched {
  /** Closes the profile's tabs, and forgets all that it holds. */
  close(): Promise<void>;
}

interface Profile {
  context: BrowserContext;
  /** A tab that stays open as long as the profile, and with it the process that has compiled the scripts of the page and of axe: half of what a page costs. */
  stays: Page;
}

/** The profiles of a browser that nobody uses, by their options. */
const unused = new WeakMap<Browser, Map<string, Profile[]>>();

function unusedOf(browser: Browser, options: BrowserContextOptions): Profile[] {
  const all = unused.get(browser) ?? new Map<string, Profile[]>();
  unused.set(browser, all);
  const key = JSON.stringify(options);
  const profiles = all.get(key) ?? [];
  all.set(key, profiles);
  return profiles;
}

/** A profile that knows nothing: without cookies, stored values and permissions. Only what a browser caches of files that never change may be there. */
async function profileOf(browser: Browser, options: BrowserContextOptions): Promise<Profile> {
  const known = unusedOf(browser, options).pop();
  if (known !== undefined) return known;
  const context = await browser.newContext(options);
  // Less than a test has, so that the step that waits in vain is named.
  context.setDefaultTimeout(15_000);
  const stays = await context.newPage();
  await stays.goto('/healthz');
  return { context, stays };
}

async function forget({ context, stays }: Profile): Promise<void> {
  for (const page of context.pages()) if (page !== stays) await page.close();
  await Promise.all([context.unrouteAll({ behavior: 'ignoreErrors' }), context.clearCookies(), context.clearPermissions()]);
  await stays.evaluate('localStorage.clear()');
}

/** Opens a tab in a browser profile that knows nothing. `origin`: the only host that may be asked. */
export async function openPage(browser: Browser, origin: string, options: BrowserContextOptions = {}): Promise<Opened> {
  const all = { baseURL: origin, viewport: { width: 1280, height: 900 }, locale: 'en-GB', timezoneId: 'Europe/Berlin', ...options };
  const profile = await profileOf(browser, all);
  let isGone = false;
  profile.context.once('close', () => {
    isGone = true;
  });
  return {
    ...(await watchPage(profile.context, origin)),
    async close() {
      if (isGone) return;
      await forget(profile);
      unusedOf(browser, all).push(profile);
    },
  };
}

/** One more tab of a profile. */
export async function watchPage(context: BrowserContext, origin: string): Promise<Watched> {
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('console', (message) => {
    // The browser itself writes each 401 there: the answer to the question who is signed in, or to a key that is wrong.
    if (/status of 401/.test(message.text()) && /\/v1\/(me|session)$/.test(message.location().url)) return;
    if (message.type() === 'error' || message.type() === 'warning') faults.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`thrown: ${error.message}`));
  page.on('request', (request) => {
    const { protocol, origin: asked } = new URL(request.url());
    if (protocol.startsWith('http') && asked !== origin) faults.push(`request to ${request.url()}`);
  });
  return {
    page,
    context,
    faults,
    async expectClean(meant) {
      const { violations } = await analyse(page);
      expect(
        violations.map(
          ({ id, nodes }) =>
            `${id}: ${nodes
              .map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary ?? ''}`)
              .slice(0, 3)
              .join(' | ')}`,
        ),
      ).toEqual([]);
      expect(faults.filter((text) => !meant?.test(text))).toEqual([]);
    },
  };
}

const STANDARDS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** The short form of `axe.source`: every page takes it in. */
const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

/** What axe finds in a page without frames. Run in the page itself and asked for violations alone, it takes a sixth of the time of its own adapter for this browser, which opens a tab for each analysis. */
async function analyse(page: Page): Promise<AxeResults> {
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(AXE);
  return page.evaluate(
    (standards) => (globalThis as unknown as { axe: typeof axe }).axe.run({ runOnly: standards, resultTypes: ['violations'] }),
    STANDARDS,
  );
}
