/** One weighted component: the column of a score, or 100 minus it where a low value is good. */
export interface Term {
  readonly column: string;
  readonly weight: number;
  readonly inverted: boolean;
}

/** The weights of a weighted mean for one set of known components. */
interface Case {
  /** A weight for each term, 0 for those that are missing. */
  readonly weights: Float64Array;
  /** The same by column, known components only. */
  readonly used: Readonly<Record<string, number>>;
  /** 0-1: the known components' share of the whole weight. */
  readonly share: number;
  readonly missing: readonly string[];
}

/** A weighted mean whose components may be missing, with its cases computed in advance: `cases[mask]`, where bit `j` of the mask is set when term `j` is known. */
export interface Weighting {
  readonly terms: readonly Term[];
  readonly cases: readonly Case[];
}

/** Scores by column, and each row's case. */
export interface Weighed {
  readonly weighting: Weighting;
  readonly score: Float64Array;
  readonly masks: Uint8Array;
}

/** Weights are divided by the sum of the known ones. Where all are known and add up to 1 they stay as configured. A term without weight is left out. */
export function weighting(all: readonly Term[]): Weighting {
  const terms = all.filter(({ weight }) => weight > 0);
  const cases = Array.from({ length: 2 ** terms.length }, (_, mask): Case => {
    const isThere = (_term: Term, j: number) => (mask & (1 << j)) !== 0;
    const sum = terms.filter(isThere).reduce((total, { weight }) => total + weight, 0);
    const divisor = Math.abs(sum - 1) <= 1e-9 ? 1 : sum;
    const weights = Float64Array.from(terms, (term, j) => (isThere(term, j) ? term.weight / divisor : 0));
    return {
      weights,
      used: Object.fromEntries(terms.flatMap(({ column }, j) => (weights[j]! > 0 ? [[column, weights[j]!]] : []))),
      share: divisor,
      missing: terms.filter((term, j) => !isThere(term, j)).map(({ column }) => column),
    };
  });
  return { terms, cases };
}

/** Σ weight used × component of every row, not rounded; NaN where no component is there. `columns` holds the scores of all terms, NaN = missing. */
export function weigh(formula: Weighting, columns: Readonly<Record<string, Float64Array>>, count: number): Weighed {
  const { terms, cases } = formula;
  const masks = new Uint8Array(count);
  for (const [j, { column }] of terms.entries()) mark(masks, 1 << j, columns[column]!);
  const score = new Float64Array(count);
  for (const [j, { column, inverted }] of terms.entries()) {
    const weights = Float64Array.from(cases, (known) => known.weights[j]!);
    add(score, columns[column]!, inverted, weights, masks, 1 << j);
  }
  for (let i = 0; i < count; i++) if (masks[i] === 0) score[i] = Number.NaN;
  return { weighting: formula, score, masks };
}

function mark(masks: Uint8Array, bit: number, values: Float64Array): void {
  for (let i = 0; i < masks.length; i++) if (!Number.isNaN(values[i]!)) masks[i]! |= bit;
}

/** `weights` by mask. */
function add(score: Float64Array, values: Float64Array, inverted: boolean, weights: Float64Array, masks: Uint8Array, bit: number): void {
  for (let i = 0; i < score.length; i++) {
    const mask = masks[i]!;
    if ((mask & bit) !== 0) score[i]! += weights[mask]! * (inverted ? 100 - values[i]! : values[i]!);
  }
}
