/**
 * The health check of the image: ends with 0 when the one service of this container answers /healthz with 200. Each has its port (config/production.yaml), and nothing
 * listens on the others. Other ports: STOCKMESH_HEALTH_PORTS.
 */
const PORTS = (process.env.STOCKMESH_HEALTH_PORTS ?? '8787,9464,9470,9490,9510').split(',');

const answers = await Promise.allSettled(
  PORTS.map((port) => fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(4_000) })),
);
const answered = answers.flatMap(({ value }) => (value === undefined ? [] : [value]));
for (const answer of answered) console.log(`${answer.url}: ${answer.status} ${await answer.text()}`);
if (answered.length === 0) console.log(`nothing answers on the ports ${PORTS.join(', ')}`);
process.exitCode = answered.length > 0 && answered.every(({ ok }) => ok) ? 0 : 1;
