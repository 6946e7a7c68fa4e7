/** What the routes of history have in common: the fields that name a range of days, and the shapes of their answers. */
import { z } from 'zod';
import { DAY_STATES } from '../../history/coverage.ts';
import { ASSETS } from '../../history/dataset.ts';
import { checkFields, issuesTo, type optionFields, rangeFields } from '../../history/fields.ts';
import type { Parts } from '../http/app.ts';

export const assetField = z.enum(ASSETS);
export const dayState = z.enum(DAY_STATES);
/** A row of a stored file. */
export const plainRow = z.record(z.string(), z.union([z.string(), z.number(), z.null()]));

type Clock = Pick<Parts, 'clock'>;

/** The parameters of a range of days of a dataset, and others. */
export function rangeQuery<More extends z.ZodRawShape>({ clock }: Clock, more: More) {
  return z.strictObject({ ...rangeFields, ...more }).superRefine((given, context) => {
    const range = given as z.output<z.ZodObject<typeof rangeFields>>;
    checkFields(range, range, { from: 'from', to: 'to' }, clock, issuesTo(context));
  });
}

/** The body of a download, and others of its fields. */
export function downloadBody<More extends z.ZodRawShape>({ clock }: Clock, fields: typeof optionFields, more: More) {
  return z.strictObject({ ...fields, ...more }).superRefine((given, context) => {
    const body = given as z.output<z.ZodObject<typeof optionFields>>;
    const range = { from: body.start_date, to: body.end_date };
    checkFields(body, range, { from: 'start_date', to: 'end_date' }, clock, issuesTo(context));
  });
}
