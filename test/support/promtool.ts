/** Whether metrics are as Prometheus wants them. */
import { spawnSync } from 'node:child_process';

/**
 * What is wrong with metrics in Prometheus' text format: by `promtool check metrics` where it is installed (Debian: prometheus), and in any case by the rules of
 * https://prometheus.io/docs/practices/naming that were broken before.
 */
export function faultsOf(metrics: string): string[] {
  const faults: string[] = [];
  const help = new Set([...metrics.matchAll(/^# HELP (\S+) \S/gm)].map(([, name]) => name));
  for (const [, name = '', type] of metrics.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    if (!help.has(name)) faults.push(`${name}: no help`);
    if ((type === 'counter') !== name.endsWith('_total')) faults.push(`${name}: "_total" is for counters, this is a ${type}`);
  }
  const { error, status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: metrics, encoding: 'utf8' });
  if (error !== undefined && (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  return error !== undefined || status === 0 ? faults : [...faults, ...`${stdout}${stderr}`.trim().split('\n')];
}
