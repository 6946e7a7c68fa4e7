// The real worker service over the source of fault-source.ts. Arguments: data folder, instance, then --set texts.
import { loadFor } from '../../../services/cli/session.ts';
import { runService } from '../../../services/platform/lifecycle.ts';
import { startWorkerService } from '../../../services/worker/service.ts';
import { faultSources } from './fault-source.ts';

const [, , dataFolder, instance, ...set] = process.argv as string[];
process.exitCode = await runService('worker', {
  loaded: loadFor({ data: dataFolder, env: 'demo', set }).loaded,
  dataFolder: dataFolder as string,
  instance,
  start: (context) => startWorkerService(context, faultSources, undefined, new URL('./fault-isolated.ts', import.meta.url)),
});
