import { createRequire } from 'node:module';
import { type DestinationStream, type Logger, pino } from 'pino';
import type { PrettyOptions } from 'pino-pretty';
import { plainTexts, visibleJson } from '../text/characters.ts';
import { rotatingFile } from './log-file.ts';
import { type Component, LEVELS, type Level } from './log-levels.ts';
import { withoutSecrets } from './secrets.ts';

export type { Logger };

/** The `logging` section of the configuration, and the service that logs. */
export interface LogOptions {
  level: Level;
  /** `auto`: pretty on a terminal, else JSON, one event a line. */
  format: 'auto' | 'json' | 'pretty';
  /** Also written, as JSON, beside the terminal; null for none. */
  file: string | null;
  /** Bytes at which a file is set aside as `.1`. */
  max_size: number;
  /** How many files set aside are kept. */
  backup_count: number;
  /** By component: a level, or a file that takes the component's lines in place of `file`. */
  component_logs: Readonly<Record<Component, string | null>>;
  service: string;
  instance: string;
  /** Where the terminal's lines go instead of standard output. */
  terminal?: { write(text: string): unknown; isTTY?: boolean } | undefined;
}

/**
 * The logger of a process. Every line is written before the call returns, so the last line of a process that crashes is not lost. Passwords, keys and tokens are
 * removed from every line, also from addresses and nested errors.
 */
export function createLogger(options: LogOptions): Logger {
  const { service, instance } = options;
  const logger: WithComponents = pino(
    {
      level: options.level,
      base: { service, instance },
      formatters: { level: (label) => ({ level: label }) },
      timestamp: pino.stdTimeFunctions.isoTime,
      // On `log.error({ error }, …)` as on `{ err }`: the stack and the causes.
      serializers: { error: pino.stdSerializers.errWithCause, err: pino.stdSerializers.errWithCause },
    },
    destination(options),
  );
  logger[componentLogs] = options.component_logs;
  return logger;
}

// On the logger itself: pino's children have their parent as prototype, so each of them has it too.
const componentLogs = Symbol('component_logs');
type WithComponents = Logger & { [componentLogs]?: LogOptions['component_logs'] };

/** A child for one component, at the component's own level and with its own file if the configuration names them. */
export function componentLogger(logger: Logger, component: Component): Logger {
  const setting = (logger as WithComponents)[componentLogs]?.[component];
  return logger.child({ component }, isLevel(setting) ? { level: setting } : {});
}

function isLevel(setting: string | null | undefined): setting is Level {
  return LEVELS.some((level) => level === setting);
}

/** Sends each line to the terminal and to the file of its component, else to the common file. */
function destination(options: LogOptions): DestinationStream {
  const print = terminal(options);
  const open = (path: string) => rotatingFile(path, options.max_size, options.backup_count);
  const common = options.file === null ? undefined : open(options.file);
  const files = new Map<string, (line: string) => void>();
  for (const [component, setting] of Object.entries(options.component_logs)) {
    if (setting !== null && !isLevel(setting)) files.set(component, setting === options.file && common ? common : open(setting));
  }
  return {
    write(raw) {
      const line = visibleJson(withoutSecrets(raw));
      print(line);
      const component = files.size === 0 ? undefined : /"component":"(\w+)"/.exec(line)?.[1];
      const file = (component === undefined ? undefined : files.get(component)) ?? common;
      file?.(line);
    },
  };
}

function terminal({ format, terminal }: LogOptions): (line: string) => void {
  const pretty = format === 'pretty' || (format === 'auto' && (terminal ?? process.stdout).isTTY === true);
  const out = terminal ?? standardOutput();
  if (!pretty) return (line) => void out.write(line);
  // Loaded only here: it takes 30 ms, which a service without a terminal saves.
  const { prettyFactory } = createRequire(import.meta.url)('pino-pretty') as {
    prettyFactory(options: PrettyOptions): (line: string) => string;
  };
  const colorize = (terminal ?? process.stdout).isTTY === true && !process.env.NO_COLOR;
  const prettify = prettyFactory({ colorize, ignore: 'instance', translateTime: 'SYS:HH:MM:ss.l' });
  return (line) => void out.write(prettify(plainTexts(line)));
}

/** The reader of our output may be gone (a supervisor that was killed). The service must still stop in order. */
function standardOutput(): { write(text: string): unknown } {
  const out = pino.destination({ dest: 1, sync: true });
  out.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return out;
}
