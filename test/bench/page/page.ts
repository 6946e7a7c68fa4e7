/** page. The dashboard in Chromium over the whole mesh: how much is loaded, how soon it is there, and what a day of events does to it. */
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { createKey } from '../../../services/gateway/auth/keys.ts';
import { type Bus, connectBus } from '../../../services/platform/bus/bus.ts';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { brokerAddress, databaseOptions } from '../../../services/platform/connections.ts';
import { openDatabase } from '../../../services/platform/database/database.ts';
import { launch } from '../../dashboard/support/browser.ts';
import { countPaints, type Paints } from '../../dashboard/support/paints.ts';
import { startMesh } from '../main-job.ts';
import type { Bench } from '../report/bench.ts';
import { figure, print, progress, table, type Verdict, verdicts } from '../report/report.ts';
import { jobsAnswer, scrolled } from './scroll.ts';

const SETTINGS = ['stock_jobs.data_fetch.sources=simulated', 'stock_jobs.data_fetch.simulated.enabled=true'];
const RATE = 1_000;
/** Of the hour: as many as come on a busy day, sent at `RATE`. */
const HOUR_EVENTS_PER_S = 25;
const ROWS = 10_000;
const TABS = 20;
const THROTTLED = 4;
/** What is drawn when a page is opened is no part of a burst. */
const SETTLE_MS = 2_000;

interface Ground {
  url: string;
  context: BrowserContext;
  bus: Bus;
  /** What the gateway says of itself. */
  openStreams: () => Promise<number>;
}

const median = (values: readonly number[]): number => values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] as number;

export async function pageSection({ quick, workers, set }: Pick<Bench, 'quick' | 'workers' | 'set'>): Promise<unknown> {
  const sizes = sizesOf('services/dashboard/dist/assets');
  progress('page: starting the mesh');
  const mesh = await startMesh('page', workers, [...SETTINGS, ...set]);
  const { config } = loadConfig({ environment: 'development', files: [] });
  const db = openDatabase({ ...databaseOptions(config, mesh.dataFolder, 'service'), maxConnections: 1 });
  const { key } = await createKey(db, { name: 'bench', scopes: ['admin'] }, new Date());
  await db.close();
  const bus = connectBus({
    ...brokerAddress(config, mesh.dataFolder, 'service'),
    service: 'bench',
    instance: 'bench-1',
    log: pino({ level: 'silent' }),
  });
  await bus.online();
  const browser = await launch();
  try {
    const context = await signedIn(browser, mesh.url, key);
    const openStreams = async (): Promise<number> => {
      const text = await (await fetch(`${mesh.url}/metrics`, { headers: { authorization: `Bearer ${key}` } })).text();
      return Number(/^stockmesh_event_streams (\d+)$/m.exec(text)?.[1]);
    };
    return { sizes, ...(await measure({ url: mesh.url, context, bus, openStreams }, sizes, quick)) };
  } finally {
    await browser.close();
    await bus.close();
    await mesh.stop();
  }
}

async function measure(ground: Ground, sizes: Sizes, quick: boolean): Promise<object> {
  const mounted = await mountedTimes(ground, quick ? 1 : 5, 1);
  const slow = await mountedTimes(ground, quick ? 1 : 5, THROTTLED);
  progress('page: a burst');
  const burst = await burstOf(ground, quick ? 3 : 20);
  progress('page: an hour of events');
  const hour = await hourOf(ground, HOUR_EVENTS_PER_S * (quick ? 60 : 3_600));
  progress('page: scrolling');
  const scroll = await scrollOf(ground);
  progress('page: tabs');
  const tabs = await tabsOf(ground, quick ? 5 : TABS);
  print('\npage. The dashboard in Chromium, over the whole mesh\n');
  print(
    table(
      ['what', 'figure', ''],
      [
        ['script of the first page, gzip', sizes.script / 1000, 'KB'],
        ['styles of all pages, gzip', sizes.styles / 1000, 'KB'],
        ['first page mounted, median', median(mounted), 'ms'],
        [`the same with the processor ÷ ${THROTTLED}`, median(slow), 'ms'],
        [`paints a second at ${RATE} changes a second`, burst.paints, ''],
        ['frames then, p95', burst.frameP95, 'ms'],
        ['longest task then', burst.longestTask, 'ms'],
        ['heap it grew by', burst.grownMb, 'MB'],
        ['an hour of events', hour.events, 'events'],
        ['heap after it, before', hour.beforeMb, 'MB'],
        ['heap after it', hour.afterMb, 'MB'],
        [`${ROWS} rows: frames while scrolling, p95`, scroll.frameP95, 'ms'],
        [`${tabs.tabs} tabs: streams of the gateway`, tabs.streams, ''],
        ['of them change', tabs.changed, 'tabs'],
      ],
    ),
  );
  const aims: Verdict[] = [
    aim('mounted within 600 ms', median(mounted), 600, 'ms'),
    aim(`within 2,000 ms with the processor ÷ ${THROTTLED}`, median(slow), 2_000, 'ms'),
    aim('at most 5 paints a second in a burst', burst.paints, 5, ''),
    aim('heap grows by less than 20 MB in a burst', burst.grownMb, 20, 'MB'),
    aim('p95 of frames while scrolling at most 34 ms', scroll.frameP95, 34, 'ms'),
    aim(`${tabs.tabs} tabs have one stream`, tabs.streams, 1, ''),
    { aim: 'all of them change', measured: `${tabs.changed} of ${tabs.tabs}`, met: tabs.changed === tabs.tabs },
  ];
  print(`\n${verdicts(aims)}`);
  return { mounted, slow, burst, hour, scroll, tabs };
}

const aim = (text: string, value: number, most: number, unit: string): Verdict => ({
  aim: text,
  measured: `${figure(value)} ${unit}`.trim(),
  met: value <= most,
});

interface Sizes {
  script: number;
  styles: number;
}

/** Of the files that `index.html` and the first page name, as they are sent. */
function sizesOf(folder: string): Sizes {
  const manifest = JSON.parse(readFileSync(`${folder}/../.vite/manifest.json`, 'utf8')) as Record<
    string,
    { file: string; imports?: string[] }
  >;
  const found = new Set<string>();
  const add = (name: string): void => {
    if (found.has(name)) return;
    found.add(name);
    for (const needed of manifest[name]?.imports ?? []) add(needed);
  };
  for (const name of ['index.html', 'src/pages/mesh/page.tsx']) add(name);
  const bytes = (path: string): number => statSync(existsSync(`${path}.gz`) ? `${path}.gz` : path).size;
  return {
    script: [...found].reduce((sum, name) => sum + bytes(`${folder}/../${manifest[name]?.file}`), 0),
    styles: globSync(`${folder}/*.css`).reduce((sum, path) => sum + bytes(path), 0),
  };
}

async function signedIn(browser: Browser, url: string, key: string): Promise<BrowserContext> {
  const context = await browser.newContext({ baseURL: url, viewport: { width: 1280, height: 900 } });
  await context.request.post('/v1/session', { data: { key }, headers: { 'sec-fetch-site': 'same-origin' } });
  return context;
}

/** From the request of the page to its numbers, in milliseconds; nothing is in the browser's cache. */
async function mountedTimes({ context }: Ground, times: number, rate: number): Promise<number[]> {
  const found: number[] = [];
  for (let time = 0; time < times; time++) {
    progress(`page: mounted, processor ÷ ${rate}, ${time + 1} of ${times}`);
    const page = await context.newPage();
    const session = await context.newCDPSession(page);
    await session.send('Network.setCacheDisabled', { cacheDisabled: true });
    await session.send('Emulation.setCPUThrottlingRate', { rate });
    await page.addInitScript(`
      new MutationObserver((_, observer) => {
        if (document.querySelector('[aria-label="Queues"] tbody tr') === null) return;
        window.mountedAt = performance.now();
        observer.disconnect();
      }).observe(document, { subtree: true, childList: true });`);
    await page.goto('/ui/mesh');
    await page.getByRole('group', { name: 'Queues' }).locator('tbody tr').first().waitFor();
    found.push(Number(await page.evaluate('window.mountedAt')));
    await page.close();
  }
  return found;
}

async function openMesh({ context }: Ground): Promise<Page> {
  const page = await context.newPage();
  await page.goto('/ui/mesh');
  await page.getByText('Live', { exact: true }).waitFor();
  await page.getByRole('img', { name: /Login to fresh/ }).waitFor();
  return page;
}

async function heapMb(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return usedSize / 1e6;
}

const idOf = (number: number): string => `0199aaaa-0000-7000-8000-${String(number).padStart(12, '0')}`;

/** Sends changes of 5,000 jobs at `RATE`, as a worker does. */
async function send(bus: Bus, events: number): Promise<void> {
  const begin = performance.now();
  for (let sent = 0; sent < events; ) {
    const due = Math.min(events, Math.floor(((performance.now() - begin) / 1000) * RATE));
    const at = new Date().toISOString();
    const messages = Array.from({ length: Math.max(0, due - sent) }, (_, index) => {
      const number = sent + index;
      const state = number % 2 === 0 ? ('running' as const) : ('completed' as const);
      return bus.publish('status', {
        id: idOf(number % 5_000),
        type: 'fetch',
        symbol: 'AAPL',
        state,
        attempt: 1 + Math.floor(number / 5_000),
        at,
      });
    });
    await Promise.all(messages);
    sent += messages.length;
    await delay(5);
  }
}

async function burstOf(ground: Ground, seconds: number): Promise<Paints & { grownMb: number }> {
  const page = await openMesh(ground);
  await delay(SETTLE_MS);
  const before = await heapMb(page);
  const [painted] = await Promise.all([countPaints(page, seconds), send(ground.bus, seconds * RATE)]);
  const grownMb = (await heapMb(page)) - before;
  await page.close();
  return { ...painted, paints: painted.paints / seconds, grownMb };
}

async function hourOf(ground: Ground, events: number): Promise<{ events: number; beforeMb: number; afterMb: number }> {
  const page = await openMesh(ground);
  const beforeMb = await heapMb(page);
  await send(ground.bus, events);
  await delay(2_000);
  const afterMb = await heapMb(page);
  await page.close();
  return { events, beforeMb, afterMb };
}

async function scrollOf({ context }: Ground): Promise<{ frameP95: number; frameLongest: number }> {
  const page = await context.newPage();
  await page.route(/\/v1\/jobs\?/, (route) => route.fulfill({ json: jobsAnswer(ROWS, idOf) }));
  await page.goto('/ui/jobs');
  await page.getByRole('group', { name: 'Jobs' }).getByRole('row').nth(20).waitFor();
  const found = await scrolled(page);
  await page.close();
  return found;
}

async function tabsOf(ground: Ground, count: number): Promise<{ tabs: number; streams: number; changed: number }> {
  const pages: Page[] = [];
  for (let tab = 0; tab < count; tab++) pages.push(await openMesh(ground));
  await ground.bus.publish('status', {
    ...{ id: idOf(0), type: 'fetch', symbol: 'LASTONE', state: 'completed', attempt: 1_000, at: new Date().toISOString() },
  });
  const seen = await Promise.all(
    pages.map((page) =>
      page
        .getByRole('log')
        .getByText('LASTONE')
        .waitFor({ timeout: 30_000 })
        .then(
          () => true,
          () => false,
        ),
    ),
  );
  return { tabs: count, streams: await ground.openStreams(), changed: seen.filter(Boolean).length };
}
