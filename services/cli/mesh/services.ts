/** The services of a mesh as child processes of `stockmesh up`. */
import { fileURLToPath } from 'node:url';
import { foreignVariables } from '../../platform/machine/datafolder.ts';
import { handedOn } from './handed-on.ts';
import { warningIn } from './log-lines.ts';
import { type Supervised, type Supervisor, supervise } from './supervisor.ts';

const MAIN = fileURLToPath(new URL('../../main.ts', import.meta.url));
/** Milliseconds for the services to stop when one of them did not start. */
const FAILED_START_MS = 5_000;
/** Milliseconds in which the same warning is shown once. */
const REPEATED_MS = 60_000;

export interface MeshSettings {
  environment: string;
  /** Absolute paths of configuration files, the weakest first. */
  files: string[];
  /** `key=value`, the weakest first. */
  set: string[];
}

/** The environment of a service: without the passwords of others, unless the configuration has use for such a variable. */
function serviceEnvironment(service: string, used: readonly string[]): NodeJS.ProcessEnv {
  const foreign = foreignVariables(service).filter((name) => !used.includes(name));
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.includes(name)));
}

export interface ServicesOptions {
  dataFolder: string;
  settings: MeshSettings;
  /** Variables that keys of the configuration are filled from. */
  used?: readonly string[];
  workers: number;
  /** Whether there is somebody to be told of something. */
  notifier?: boolean;
  /** Takes every line that a service writes, with its newline. */
  writeLog(line: string): void;
  /** Takes what a person should read. */
  note(text: string): void;
  /** The program whose command `service` runs one of them; for tests. */
  main?: string;
}

/** Resolves when all services are ready. Errors: `ConfigError('mesh.service_failed')` when one ends before; the others are stopped then. */
export async function startServices({
  dataFolder,
  settings,
  used = [],
  workers,
  notifier = false,
  writeLog,
  note,
  main = MAIN,
}: ServicesOptions): Promise<Supervisor> {
  const { environment, files, set } = settings;
  const common = [
    ...['--data', dataFolder, '--env', environment],
    ...files.flatMap((file) => ['--config', file]),
    ...['--set', 'logging.format=json'],
  ];
  const service = (name: string, label = name, youngSpace?: number): Supervised => ({
    ...{ label, youngSpace },
    args: ['service', name, ...common],
    env: { ...serviceEnvironment(name, used), ...handedOn(set) },
  });
  const isNews = onceIn(REPEATED_MS);
  const supervisor = supervise(
    [
      service('scheduler'),
      // Ten thousand logins cost it as much processor time with 64 as with 16 MB, Node's default.
      service('portfolio-priority', undefined, 16),
      service('gateway'),
      ...(notifier ? [service('notifier')] : []),
      ...Array.from({ length: workers }, (_, index) => service('worker', workers === 1 ? 'worker' : `worker-${index + 1}`)),
    ],
    {
      main,
      onNews: note,
      onLine(label, line) {
        writeLog(`${line}\n`);
        const warning = warningIn(line);
        if (warning !== undefined && isNews(warning)) note(`${label}: ${warning}`);
      },
    },
  );
  try {
    await supervisor.ready;
  } catch (error) {
    await supervisor.stop(FAILED_START_MS);
    throw error;
  }
  return supervisor;
}

/** True for a text that was not there within the last `ms`: a thousand jobs may meet the same warning. The log has all of them. */
function onceIn(ms: number): (text: string) => boolean {
  const seen = new Map<string, number>();
  return (text) => {
    const now = performance.now();
    for (const [old, at] of seen) if (now - at > ms) seen.delete(old);
    if (seen.has(text)) return false;
    seen.set(text, now);
    return true;
  };
}
