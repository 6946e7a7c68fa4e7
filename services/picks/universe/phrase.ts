/** Text with the figures that stand in it, so that a report can store each of them as a fact. */

/** One figure of a text. */
export interface Figure {
  /** What it is, without the symbol. */
  label: string;
  value: number | string;
  unit: 'usd' | 'pct' | 'ratio' | 'count' | 'date';
  /** As it stands in the text. */
  shown: string;
}

export interface Phrase {
  text: string;
  figures: Figure[];
}

/** A template with figures, other phrases and names in it. */
export function phrase(texts: TemplateStringsArray, ...values: readonly (Figure | Phrase | string)[]): Phrase {
  let text = texts[0]!;
  const figures: Figure[] = [];
  values.forEach((value, index) => {
    if (typeof value === 'string') text += value;
    else if ('shown' in value) {
      text += value.shown;
      figures.push(value);
    } else {
      text += value.text;
      figures.push(...value.figures);
    }
    text += texts[index + 1]!;
  });
  return { text, figures };
}

export const count = (label: string, value: number): Figure => ({ label, value, unit: 'count', shown: String(value) });
export const date = (label: string, value: string): Figure => ({ label, value, unit: 'date', shown: value });
export const dollars = (label: string, value: number): Figure => ({ label, value, unit: 'usd', shown: `$${value.toFixed(2)}` });
/** `value` is a fraction. */
export const percent = (label: string, value: number): Figure => ({ label, value, unit: 'pct', shown: `${(value * 100).toFixed(1)}%` });
export const ratio = (label: string, value: number): Figure => ({ label, value, unit: 'ratio', shown: value.toFixed(2) });
