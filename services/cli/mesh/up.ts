/** `stockmesh up`: runs a whole mesh until Ctrl-C, and says where to look. */
import { isBuilt } from '../../gateway/http/dashboard.ts';
import { InputError } from '../../platform/errors.ts';
import { PRIVATE_UMASK } from '../../platform/machine/environment.ts';
import { dashboardLink, gatewayUrl } from '../dashboard/link.ts';
import { withSession } from '../session.ts';
import { hintsFor } from './hints.ts';
import { stopWithParent } from './parent.ts';
import { logFile, type Mesh, startMesh, type UpOptions } from './start.ts';

/** The last line that is printed when all is ready. */
export const ALL_IS_READY = 'Ctrl-C stops everything.';

/** Resolves with the exit code. */
export async function up(options: UpOptions): Promise<number> {
  const interrupted = new Promise<void>((resolve) => {
    // Each may come twice: whoever ends a whole group of processes ends the shell of npm too, for which `stopWithParent` sends another. It must not cut the stop short.
    process.once('SIGINT', () => resolve()).on('SIGTERM', () => resolve());
  });
  stopWithParent();
  process.umask(PRIVATE_UMASK);
  const started = performance.now();
  const starting = startMesh(options);
  const mesh = await Promise.race([starting, interrupted.then(() => undefined)]);
  if (mesh === undefined) {
    process.stdout.write('\nstopping\n');
    await starting.then((late) => late.stop());
    return 0;
  }
  const link = isBuilt() ? await linkTo(mesh, options) : undefined;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const hints = hintsFor({ dataFolder: mesh.dataFolder, config: mesh.config, log: logFile(mesh.dataFolder), link });
  process.stdout.write([`ready in ${seconds} s`, '', ...hints, '', ALL_IS_READY, '', ''].join('\n'));
  await interrupted;
  // A second Ctrl-C must not interrupt the stop that the first one began.
  process.on('SIGINT', () => process.stdout.write('stopping: waiting for running jobs\n'));
  process.stdout.write('\nstopping\n');
  await mesh.stop();
  process.stdout.write('stopped\n');
  return 0;
}

/** Opens the dashboard, signed in. */
function linkTo(mesh: Mesh, options: UpOptions): Promise<string> {
  return withSession({ ...options, data: mesh.dataFolder }, dashboardLink).then(
    ({ url }) => url,
    (error: unknown) => {
      // The operator may have revoked the key of the data folder; the page takes any other.
      if (!(error instanceof InputError)) throw error;
      return `${gatewayUrl(mesh.config)}/ui/`;
    },
  );
}
