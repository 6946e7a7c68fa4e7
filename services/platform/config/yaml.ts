import { CORE_SCHEMA, constructFromEvents, EVENT_ID, type Event, getScalarValue, mergeTag, parseEvents, YAMLException } from 'js-yaml';
import type { Problem } from './problems.ts';

/** The content of a YAML file, and the line of each key, by dotted path (`job_processor.worker.name`, list items by number). */
interface YamlFile {
  value: unknown;
  lines: ReadonlyMap<string, number>;
}

// Merge keys (`<<: *base`) belong to YAML 1.1, which earlier deployments were written for.
const SCHEMA = CORE_SCHEMA.withTags(mergeTag);

/** Parses one document. A syntax error becomes a problem, and the value is then undefined. A key twice in one map becomes a problem, and the later value is used. */
export function parseYaml(source: string, file: string, problems: Problem[]): YamlFile {
  try {
    const events = parseEvents(source, { filename: file });
    const documents = events.filter(({ type }) => type === EVENT_ID.DOCUMENT).length;
    if (documents > 1) {
      problems.push({ code: 'config.syntax', text: `${file}: holds ${documents} YAML documents; keep one, without "---" lines` });
      return { value: undefined, lines: new Map() };
    }
    const lines = locate(events, source, file, problems);
    const [value] = constructFromEvents(events, { source, filename: file, schema: SCHEMA, json: true });
    return { value, lines };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    // The parser's own message quotes the lines around the error, which may hold a password.
    problems.push({ code: 'config.syntax', text: `${file}:${(error.mark?.line ?? 0) + 1}: not valid YAML: ${error.reason}` });
    return { value: undefined, lines: new Map() };
  }
}

interface Frame {
  path: string;
  /** Maps: the key whose value comes next. Lists: the number of the next item. */
  next: string | number | undefined;
  kind: 'document' | 'map' | 'list';
}

/** Walks the parser's events, which carry offsets, to the line of each key and list item. */
function locate(events: Event[], source: string, file: string, problems: Problem[]): Map<string, number> {
  const lines = new Map<string, number>();
  const lineAt = lineCounter(source);
  const frames: Frame[] = [];
  for (const event of events) {
    const frame = frames.at(-1);
    if (event.type === EVENT_ID.POP) {
      frames.pop();
      continue;
    }
    if (event.type === EVENT_ID.DOCUMENT) {
      frames.push({ path: '', next: undefined, kind: 'document' });
      continue;
    }
    if (frame!.kind === 'map' && frame!.next === undefined && event.type === EVENT_ID.SCALAR) {
      const key = getScalarValue(source, event);
      const path = frame!.path === '' ? key : `${frame!.path}.${key}`;
      const line = lineAt(event.valueStart);
      const first = lines.get(path);
      if (first !== undefined && key !== '<<')
        problems.push({
          code: 'config.duplicate_key',
          text: `${file}:${line}: key "${path}" is there twice, first on line ${first}; keep one`,
        });
      lines.set(path, line);
      frame!.next = key;
      continue;
    }
    // A key that is itself a list, a map or an alias is never a known key. It gets a name so that its value is not read as the next key.
    const isKey = frame!.kind === 'map' && frame!.next === undefined;
    const path = isKey ? '?' : valuePath(frame!);
    if (frame!.kind === 'list') {
      lines.set(path, lineAt(startOf(event)));
      frame!.next = Number(frame!.next) + 1;
    } else frame!.next = isKey ? '?' : undefined;
    if (event.type === EVENT_ID.MAPPING) frames.push({ path, next: undefined, kind: 'map' });
    if (event.type === EVENT_ID.SEQUENCE) frames.push({ path, next: 0, kind: 'list' });
  }
  return lines;
}

function valuePath({ path, next }: Frame): string {
  if (next === undefined) return path;
  return path === '' ? String(next) : `${path}.${next}`;
}

function startOf(event: Event): number {
  if (event.type === EVENT_ID.SCALAR) return event.valueStart;
  if (event.type === EVENT_ID.ALIAS) return event.anchorStart;
  return 'start' in event ? event.start : -1;
}

/** Line (from 1) of an offset; offsets must ascend. An absent one (-1, an empty value) is on the line of the one before. */
function lineCounter(source: string): (offset: number) => number {
  let line = 1;
  let end = source.indexOf('\n');
  return (offset) => {
    while (end !== -1 && end < offset) {
      line++;
      end = source.indexOf('\n', end + 1);
    }
    return line;
  };
}
