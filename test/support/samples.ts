/** The samples of an answer in Prometheus' text format: name and labels → value. */
export async function samplesOf(url: string): Promise<Record<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
}

/** Where a service says in its log that its metrics are. */
export function endpointIn(lines: readonly Record<string, unknown>[]): string {
  for (const { msg } of lines) {
    const [, url] = /^metrics on (http:\S+)\/metrics$/.exec(String(msg)) ?? [];
    if (url !== undefined) return url;
  }
  throw new Error('the log names no endpoint of metrics');
}

/** A port below the range from which the system gives ports to connections, by the number of the test process and so unlike that of other files. */
export const metricsPort = (): number => 21_000 + (process.pid % 200) * 40;
