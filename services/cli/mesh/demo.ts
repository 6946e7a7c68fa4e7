/** `stockmesh demo`: signs the demo users in once, over a data folder of its own that is removed afterwards. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PRIVATE_UMASK } from '../../platform/machine/environment.ts';
import { freePort } from '../../platform/machine/ports.ts';
import { signInAndWait } from '../commands/login.ts';
import { withSession } from '../session.ts';
import { stopWithParent } from './parent.ts';
import { startMesh, type UpOptions } from './start.ts';

export interface DemoOptions extends UpOptions {
  timeout: number;
  json?: boolean | undefined;
}

/** The beginning of the name of the folder that it makes in the folder for temporary files. */
export const DEMO_FOLDER = 'stockmesh-demo-';

/** Exit code 0 when all is fresh, 1 with the reasons when a job failed. A data folder given with --data is kept. */
export async function demo(options: DemoOptions): Promise<number> {
  const own = options.data === undefined ? mkdtempSync(join(tmpdir(), DEMO_FOLDER)) : undefined;
  const data = options.data ?? join(own as string, 'data');
  stopWithParent();
  process.umask(PRIVATE_UMASK);
  const stopped = new AbortController();
  const onSignal = (): void => stopped.abort();
  // A second signal must not cut the stop short that the first one began.
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  // Beside a mesh that runs already, unless a port is named.
  const portOf = async (given: number | undefined, key: string): Promise<number | undefined> =>
    given ?? (options.set?.some((setting) => setting.startsWith(`${key}=`)) ? undefined : await freePort());
  const [mqttPort, httpPort] = [await portOf(options.mqttPort, 'queue.mqtt.port'), await portOf(options.httpPort, 'gateway.port')];
  const mesh = await startMesh({ ...options, data, env: options.env ?? 'demo', mqttPort, httpPort });
  try {
    const done = withSession({ ...options, data, env: options.env ?? 'demo' }, async (session) => {
      const users = await session.db.rows<{ user_id: string }>('SELECT DISTINCT user_id FROM holdings ORDER BY user_id');
      return signInAndWait(
        session,
        users.map(({ user_id }) => user_id),
        options,
      );
    });
    return await Promise.race([done, new Promise<number>((resolve) => stopped.signal.addEventListener('abort', () => resolve(1)))]);
  } finally {
    await mesh.stop();
    if (own !== undefined) rmSync(own, { recursive: true, force: true });
  }
}
