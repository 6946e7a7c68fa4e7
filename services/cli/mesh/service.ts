/** `stockmesh service <name>`: one service in this process. */
import { InputError } from '../../platform/errors.ts';
import { type RunningService, runService, type ServiceContext } from '../../platform/lifecycle.ts';
import { PRIVATE_UMASK } from '../../platform/machine/environment.ts';
import { type GlobalOptions, loadJoining } from '../session.ts';
import { takeHandedOn } from './handed-on.ts';
import { stopWithParent } from './parent.ts';

interface ServiceDefinition {
  load: () => Promise<(context: ServiceContext) => Promise<RunningService>>;
  /** Its broker session outlives it, so logins that arrive while it is away are not lost. */
  persistent?: boolean;
}

/** Milliseconds for the process to end by itself after its service has stopped. */
const LINGER_MS = 1_000;

const SERVICES: Record<string, ServiceDefinition> = {
  worker: { load: async () => (await import('../../worker/service.ts')).startWorkerService },
  scheduler: { load: async () => (await import('../../scheduler/service.ts')).startSchedulerService },
  notifier: { load: async () => (await import('../../notifier/service.ts')).startNotifierService },
  gateway: { load: async () => (await import('../../gateway/service.ts')).startGatewayService },
  'portfolio-priority': {
    load: async () => (await import('../../portfolio-priority/service.ts')).startPortfolioPriorityService,
    persistent: true,
  },
};

/** Runs until it is stopped; resolves with the exit code. Errors: `InputError('service.unknown')` and those of `runService`. */
export async function service(name: string, options: GlobalOptions & { instance?: string | undefined }): Promise<number> {
  const definition = SERVICES[name];
  if (definition === undefined)
    throw new InputError('service.unknown', `there is no service "${name}"; choose one of ${Object.keys(SERVICES).join(', ')}`);
  stopWithParent();
  process.umask(PRIVATE_UMASK);
  const { loaded, dataFolder } = loadJoining({ ...options, set: [...takeHandedOn(), ...(options.set ?? [])] });
  const instance = options.instance ?? (name === 'worker' ? (loaded.config.worker.worker_id ?? undefined) : undefined);
  const code = await runService(name, { loaded, dataFolder, instance, persistent: definition.persistent, start: await definition.load() });
  // A job handler that ignores its abort signal must not keep a process whose service has stopped.
  setTimeout(() => process.exit(code), LINGER_MS).unref();
  return code;
}
