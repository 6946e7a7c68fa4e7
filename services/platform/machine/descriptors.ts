/** How many connections a server may take with the files that its process may open. */
import type { Logger } from '../log/log.ts';

/** Descriptors that the database, the broker, callbacks and files need beside the clients. */
const OWN_DESCRIPTORS = 256;

/** `wanted`, or as many as there is room for; then the log says so, and the way out. `key`: the configuration's. */
export function connectionsWithin(wanted: number, key: string, log: Pick<Logger, 'warn'>): number {
  const files = descriptors();
  const most = Math.min(wanted, Math.max(1, files - OWN_DESCRIPTORS));
  if (most < wanted)
    log.warn(
      `at most ${most} connections instead of ${wanted} (${key}): this process may open ${files} files; raise its limit ("ulimit -n", LimitNOFILE)`,
    );
  return most;
}

/** Files that this process may open. */
function descriptors(): number {
  // Else it asks for the name of every peer.
  Object.assign(process.report, { excludeNetwork: true });
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft: number | string } } };
  const soft = Number(userLimits?.open_files?.soft);
  return Number.isNaN(soft) ? Number.MAX_SAFE_INTEGER : soft;
}
