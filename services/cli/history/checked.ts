/** The fields of a download from the command line, checked as those of a request are. */
import { z } from 'zod';
import type { Asset } from '../../history/dataset.ts';
import { checkFields, issuesTo, optionFields, stockFields } from '../../history/fields.ts';
import type { Clock } from '../../platform/clock.ts';
import { InputError } from '../../platform/errors.ts';

/** How a field is written on the command line. */
const OPTION_OF: Readonly<Record<string, string>> = {
  start_date: '--from',
  end_date: '--to',
  max_dte: '--max-dte',
  base_pct: '--base-pct',
};
const nameOf = (field: string): string => OPTION_OF[field] ?? (field === 'root' ? 'the root' : `--${field}`);

/** Errors: `InputError('history.invalid')` that names each option. */
export function checked(asset: Asset, body: object, clock: Clock): z.output<z.ZodObject<typeof optionFields>> {
  const fields = asset === 'option' ? optionFields : (stockFields as typeof optionFields);
  const own = Object.fromEntries(Object.entries(body).filter(([name, value]) => value !== undefined && name in optionFields));
  const schema = z
    .strictObject(fields)
    .superRefine((given, context) =>
      checkFields(given, { from: given.start_date, to: given.end_date }, { from: 'start_date', to: 'end_date' }, clock, issuesTo(context)),
    );
  const { data, error } = schema.safeParse(own);
  if (data !== undefined) return data;
  const texts = error.issues.map((issue) => {
    const unknown = issue.code === 'unrecognized_keys' ? issue.keys.map(nameOf).join(' and ') : undefined;
    return unknown === undefined
      ? `${nameOf(String(issue.path[0]))}: ${issue.message.replaceAll('start_date', '--from').replaceAll('end_date', '--to')}`
      : `${unknown}: only options have contracts to be filtered`;
  });
  throw new InputError('history.invalid', texts.join('; '));
}
