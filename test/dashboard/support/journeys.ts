/** A whole mesh in this process with made-up prices, its page built, and a browser that reads it. */
import { execFileSync } from 'node:child_process';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, test } from 'vitest';
import { type Clock, systemClock } from '../../../services/platform/clock.ts';
import type { RunningService, ServiceContext } from '../../../services/platform/lifecycle.ts';
import { startHeartbeat } from '../../../services/platform/registry/heartbeat.ts';
import { startSchedulerService } from '../../../services/scheduler/service.ts';
import { startWorkerService } from '../../../services/worker/service.ts';
import { silent } from '../../broker/peers.ts';
import { type GatewayMesh, gatewayMesh } from '../../gateway/mesh.ts';
import { browserPath, launch, type Opened, openPage, type Watched, watchPage } from './browser.ts';

/** A page on a wide screen in light colours, and the two others that people have. */
export const SCREENS: Record<string, BrowserContextOptions> = {
  'wide, light': {},
  'wide, dark': { colorScheme: 'dark' },
  'phone, light': { viewport: { width: 390, height: 844 }, hasTouch: true },
  'phone, dark': { viewport: { width: 390, height: 844 }, hasTouch: true, colorScheme: 'dark' },
};

export interface Journeys {
  readonly mesh: GatewayMesh;
  /** A page where nobody is signed in. */
  open(path: string, options?: BrowserContextOptions): Promise<Watched>;
  /** A page of a browser that holds the cookie of a key; the operator's if none is given. */
  openAs(path: string, key?: string, options?: BrowserContextOptions): Promise<Watched>;
  /** One more tab of the browser of a page. */
  openTab(beside: Watched, path: string): Promise<Watched>;
  /** Starts the worker of this process, if it is not there yet. */
  startWorker(): Promise<void>;
}

/** Where a machine has no browser and may install none, journeys are skipped: `npm test` says so when it tries to install one. */
export const journey = test.skipIf(browserPath() === undefined);

export const SIMULATED = {
  'worker.poll_interval': 0.2,
  'stock_jobs.data_fetch.sources': ['simulated'],
  'stock_jobs.data_fetch.simulated.enabled': true,
};

/** `worker`: whether one is there from the begin. `clock`: of all services. */
export function journeys(changes: Record<string, unknown> = {}, { worker = true, clock = systemClock as Clock } = {}): Journeys {
  const mesh = gatewayMesh({ ...SIMULATED, ...changes }, undefined, clock);
  const services: RunningService[] = [];
  const beats: (() => Promise<void>)[] = [];
  let browser: Browser;
  const opened: Opened[] = [];

  async function start(service: string, run: (context: ServiceContext) => Promise<RunningService>): Promise<void> {
    const bus = mesh.connect(service);
    const context = {
      service,
      instance: `${service}-1`,
      config: mesh.config,
      dataFolder: mesh.folder,
      log: silent,
      clock,
      db: mesh.db,
      bus,
    };
    const running = await run(context);
    await bus.online();
    const heartbeat = await startHeartbeat(context);
    beats.push(heartbeat.beat);
    services.push({ drain: () => running.drain(heartbeat.retire) });
  }
  let working: Promise<void> | undefined;
  const startWorker = (): Promise<void> => {
    working ??= start('worker', startWorkerService);
    return working;
  };
  async function open(path: string, options: BrowserContextOptions = {}): Promise<Watched> {
    const watched = await openPage(browser, mesh.gateway.url, options);
    opened.push(watched);
    await watched.page.goto(path);
    return watched;
  }

  beforeAll(async () => {
    if (browserPath() === undefined) return;
    execFileSync(process.execPath, ['services/dashboard/build.ts'], { stdio: 'inherit' });
    if (worker) await startWorker();
    await start('scheduler', startSchedulerService);
    browser = await launch();
  }, 120_000);
  // A test begins with empty tables.
  beforeEach(async () => {
    for (const beat of beats) await beat();
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((one) => one.close()));
  });
  afterAll(async () => {
    await browser?.close();
    await Promise.all(services.map((service) => service.drain()));
  });

  return {
    mesh,
    open,
    startWorker,
    async openTab({ context }, path) {
      const watched = await watchPage(context, mesh.gateway.url);
      await watched.page.goto(path);
      return watched;
    },
    async openAs(path, key = mesh.operator.key, options = {}) {
      const watched = await openPage(browser, mesh.gateway.url, options);
      opened.push(watched);
      const answer = await watched.context.request.post('/v1/session', { data: { key }, headers: { 'sec-fetch-site': 'same-origin' } });
      if (!answer.ok()) throw new Error(`not signed in: ${answer.status()} ${await answer.text()}`);
      await watched.page.goto(path);
      return watched;
    },
  };
}
