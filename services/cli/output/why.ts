/** Why a job has its priority: each factor's value times its weight is its points, and the points add up to the score. */
import { z } from 'zod';
import { plain, table } from './table.ts';

/** The reason of a scored job's priority; other jobs have `text` alone. */
const scored = z.object({
  factors: z.record(z.string(), z.object({ value: z.number(), weight: z.number(), points: z.number() })),
  score: z.number(),
  cause: z.string(),
  base: z.number(),
  band: z.object({ from: z.number(), to: z.number() }),
  boost: z.number(),
  priority: z.number(),
});

/** The explanation as text of several lines. */
export function whySection(why: Record<string, unknown>): string {
  const { data } = scored.safeParse(why);
  const text = typeof why.text === 'string' ? `${plain(why.text)}\n` : '';
  const freshness = typeof why.freshness === 'string' ? `data: ${plain(why.freshness)}\n` : '';
  if (data === undefined) return text + freshness;
  const parts = Object.entries(data.factors).map(([name, factor]) => ({ name: name.replaceAll('_', ' '), ...factor }));
  const factors = table(
    [
      ...parts.map(({ name, value, weight, points }) => ({
        name,
        value: value.toFixed(4),
        weight: String(weight),
        points: points.toFixed(4),
      })),
      { name: 'score', value: '', weight: '', points: data.score.toFixed(4) },
    ],
    [
      { title: 'FACTOR', value: ({ name }) => name },
      { title: 'VALUE', value: ({ value }) => value, align: 'right' },
      { title: '× WEIGHT', value: ({ weight }) => weight, align: 'right' },
      { title: '= POINTS', value: ({ points }) => points, align: 'right' },
    ],
  );
  const { base, band, boost, priority, cause } = data;
  const lifted = boost === 0 ? '' : `, ${boost} up for a portfolio's symbol`;
  return `${factors}${cause} starts at priority ${base}; the score moves it within ${band.from}-${band.to}${lifted}: priority ${priority}\n${freshness}`;
}
