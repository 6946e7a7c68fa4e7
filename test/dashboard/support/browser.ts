/** Chromium for the journeys: pages that report each error of the console, each refusal of the content policy and each request to another host. */
import { existsSync } from 'node:fs';
import { AxeBuilder } from '@axe-core/playwright';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { findProgram } from '../../../services/platform/machine/programs.ts';

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome'];

/** The path of the browser; undefined: this machine has none, and journeys are skipped. */
export const browserPath = (): string | undefined => findProgram(PROGRAMS) ?? ['/usr/bin/chromium'].find((path) => existsSync(path));

export const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath: browserPath() as string,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--force-color-profile=srgb'],
  });

export interface Watched {
  page: Page;
  context: BrowserContext;
  /** Errors and warnings so far; a journey that makes the server fail takes those that it means away. */
  faults: string[];
  /** Asserts that the page is clean: no fault, no violation that axe finds. */
  expectClean(): Promise<void>;
}

/** Opens an address in a fresh browser profile. `origin`: the only host that may be asked. */
export async function openPage(browser: Browser, origin: string, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await browser.newContext({
    baseURL: origin,
    viewport: { width: 1280, height: 900 },
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    ...options,
  });
  // Less than a test has, so that the step that waits in vain is named.
  context.setDefaultTimeout(15_000);
  return watchPage(context, origin);
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
    async expectClean() {
      const { violations } = await new AxeBuilder({ page })
        .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
        .analyze();
      expect(
        violations.map(
          ({ id, nodes }) =>
            `${id}: ${nodes
              .map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary ?? ''}`)
              .slice(0, 3)
              .join(' | ')}`,
        ),
      ).toEqual([]);
      expect(faults).toEqual([]);
    },
  };
}
