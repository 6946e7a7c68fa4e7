/** What a child process gets of this one's environment, in which passwords may stand. */

import { readFileSync } from 'node:fs';
import { ConfigError, messageOf } from '../errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Ends the name of a variable that holds the path of a file with the value, as container engines and systemd hand out secrets. */
export const FILE_SUFFIX = '_FILE';

/**
 * The value of a variable, or the content of the file that `{name}_FILE` names, without the line break at its end. `variable`: the one that gave it. Undefined where
 * neither is set. Errors: `ConfigError('config.secret_file')` for a file that cannot be read, and for a variable that is set in both ways.
 */
export function variableOf(environment: Environment, name: string): { value: string; variable: string } | undefined {
  const value = environment[name];
  const variable = name + FILE_SUFFIX;
  const path = environment[variable];
  if (path === undefined || path === '') return value === undefined ? undefined : { value, variable: name };
  if (value !== undefined && value !== '')
    throw new ConfigError('config.secret_file', `${name} and ${variable} are both set; leave one of them out`);
  try {
    return { value: readFileSync(path, 'utf8').replace(/\r?\n$/, ''), variable };
  } catch (error) {
    throw new ConfigError('config.secret_file', `${variable}: ${messageOf(error)}; name a file that this user may read`, { cause: error });
  }
}

/** What programs need to be found, to speak the user's language and to reach the network. */
const OF_PROGRAMS =
  /^(PATH|HOME|USER|LOGNAME|SHELL|TERM|DISPLAY|TZ|LANG|LANGUAGE|LC_\w+|TMPDIR|TMP|TEMP|SYSTEMROOT|NO_COLOR|FORCE_COLOR|(DY)?LD_LIBRARY_PATH|SSL_CERT_(FILE|DIR)|(HTTPS?|ALL|NO)_PROXY|SUDO_ASKPASS|DEBIAN_FRONTEND)$/i;
/** How Node itself runs. The token of an npm registry begins like it. */
const OF_NODE = /^NODE_(?!AUTH_TOKEN$)\w+$/;

const keeping = (env: Environment, isKept: (name: string) => boolean): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => isKept(name)));

/** For a program that is not ours, such as a package manager or a broker. */
export const programEnvironment = (env: Environment = process.env): NodeJS.ProcessEnv => keeping(env, (name) => OF_PROGRAMS.test(name));

/** For a process of ours that is handed its configuration. */
export const workEnvironment = (env: Environment = process.env): NodeJS.ProcessEnv =>
  keeping(env, (name) => OF_PROGRAMS.test(name) || OF_NODE.test(name));

/**
 * For a database server. Nothing that it would take for a setting of its own (`MYSQL_…`, `MARIADB_…`, a `HOME` with a `.my.cnf`), and no library to load first
 * (`LD_PRELOAD`); a path on which it finds its own libraries stays, since one that was unpacked by hand needs it. What it creates is its owner's alone.
 */
export const databaseServerEnvironment = (env: Environment = process.env): NodeJS.ProcessEnv => ({
  ...keeping(env, (name) => /^(PATH|TZ|LANG|LC_\w+|(DY)?LD_LIBRARY_PATH)$/.test(name)),
  UMASK: '0600',
  UMASK_DIR: '0700',
});

/** The umask with which our processes create their files. */
export const PRIVATE_UMASK = 0o077;
