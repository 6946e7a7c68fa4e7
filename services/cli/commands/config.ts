/** `stockmesh config`: the effective values and their origins, and whether a file is valid. */
import { COMMAND } from '../../platform/command-name.ts';
import { configJson, describeConfig } from '../../platform/config/show.ts';
import { InputError } from '../../platform/errors.ts';
import { paint } from '../output/colour.ts';
import { exitCodeOf, FAILURE, report } from '../output/failure.ts';
import { plural } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { plain, table } from '../output/table.ts';
import { type GlobalOptions, loadFor, loadJoining } from '../session.ts';

/** Checks the files, or those that would be used: 1 when something is wrong with them. */
export async function check(files: readonly string[], options: GlobalOptions): Promise<number> {
  try {
    const { loaded } = files.length === 0 ? loadJoining(options) : loadFor({ ...options, config: [...(options.config ?? []), ...files] });
    for (const warning of loaded.warnings) print(paint('yellow', warning));
    const own = [...loaded.origins.values()].filter((origin) => origin !== 'default').length;
    print(`the configuration is right: environment ${loaded.environment}, ${plural(own, 'key')} set beside the defaults`);
    return 0;
  } catch (error) {
    // A file with errors is the result of this command, not a wrong use of it.
    if (error instanceof InputError || exitCodeOf(error) === FAILURE) throw error;
    report(error);
    return FAILURE;
  }
}

/** Every key below `prefix` with its value and origin, as the mesh of the data folder has it where one runs. Errors: `InputError('config.unknown_key')`. */
export async function show(
  prefix: string | undefined,
  { json, ...options }: GlobalOptions & { json?: boolean | undefined },
): Promise<number> {
  const { loaded } = loadJoining(options);
  const within = (key: string): boolean =>
    prefix === undefined || key === prefix || key.startsWith(prefix.endsWith('.') ? prefix : `${prefix}.`);
  const rows = describeConfig(loaded).filter(({ key }) => within(key));
  if (rows.length === 0)
    throw new InputError('config.unknown_key', `no key is called "${prefix}" or lies below it; "${COMMAND} config show" lists all`);
  if (json) printJson({ ...configJson(loaded), keys: rows });
  else {
    process.stderr.write(`environment ${plain(loaded.environment)}\n`);
    print(
      table(rows, [
        { title: 'KEY', value: ({ key }) => key },
        { title: 'VALUE', value: ({ value }) => textOf(value), flexible: 16 },
        {
          title: 'ORIGIN',
          value: ({ origin }) => origin,
          optional: 1,
          paint: (text) => (text.startsWith('default') ? paint('dim', text) : paint('cyan', text)),
        },
      ]),
    );
  }
  return 0;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
