/** Numbers that come as text, such as those of a query. */
import { z } from 'zod';

/** Takes what people write as a number: digits, a sign, a point. `0x10`, `1e3` and blanks, which `Number` would turn into something, are none. */
export function decimalText<Schema extends z.ZodNumber | z.ZodDefault<z.ZodNumber>>(schema: Schema) {
  return z.preprocess((value) => (typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value), schema);
}
