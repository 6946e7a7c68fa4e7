/** Where each value of a YAML file stands and how it is written there; and a limit to what its aliases stand for. */
import { EVENT_ID, type Event, getScalarValue, SCALAR_STYLE } from 'js-yaml';
import { join } from './keys.ts';

export interface Located {
  lines: ReadonlyMap<string, number>;
  /** The text of each value without quotes, which YAML may have turned into a number, true, false or null: `1E3`, `0123`, `~`. */
  written: ReadonlyMap<string, string>;
}

/** Keys that stand twice in one map. */
interface Twice {
  path: string;
  line: number;
  first: number;
}

interface Refused {
  code: string;
  line: number;
  fault: string;
}

/** Nine levels of nine aliases each stand for 400 million values: whoever walks through them does not end. */
const MOST_ALIASED = 10_000;
/** Of lists and maps in each other, aliases included. The parser has the same limit for what stands there itself. */
const DEEPEST = 100;

interface Frame {
  path: string;
  /** Maps: the path of the value that comes next. Lists: the number of the next item. */
  next: string | number | undefined;
  kind: 'document' | 'map' | 'list';
  content: Content;
}

/** What an alias of this value stands for. */
interface Content {
  /** Values in it, itself included. */
  size: number;
  /** Lists and maps in each other. */
  height: number;
  /** False while it is read: an alias of it would contain itself. */
  whole: boolean;
  /** The text of a value without quotes. */
  written?: string;
}

/** Walks the parser's events, which carry offsets. Linear in the file, since an alias is not walked through. */
export function locate(events: readonly Event[], source: string): (Located & { twice: Twice[] }) | Refused {
  const lines = new Map<string, number>();
  const written = new Map<string, string>();
  const twice: Twice[] = [];
  const anchors = new Map<string, Content>();
  const lineAt = lineCounter(source);
  const frames: Frame[] = [];
  let aliased = 0;
  let unnamed = 0;

  const within = (frame: Frame, { size, height }: Content): void => {
    frame.content.size += size;
    frame.content.height = Math.max(frame.content.height, height + 1);
  };
  const contentOf = (event: Event): Content => {
    const content: Content = { size: 1, height: 0, whole: event.type === EVENT_ID.SCALAR };
    if (event.type === EVENT_ID.SCALAR && event.style === SCALAR_STYLE.PLAIN) content.written = getScalarValue(source, event);
    if ('anchorStart' in event && event.anchorStart >= 0) anchors.set(source.slice(event.anchorStart, event.anchorEnd), content);
    return content;
  };

  for (const event of events) {
    const frame = frames.at(-1);
    if (event.type === EVENT_ID.POP) {
      const { content } = frames.pop()!;
      content.whole = true;
      const above = frames.at(-1);
      if (above !== undefined) within(above, content);
      continue;
    }
    if (event.type === EVENT_ID.DOCUMENT) {
      frames.push({ path: '', next: undefined, kind: 'document', content: { size: 0, height: 0, whole: false } });
      continue;
    }
    const content = event.type === EVENT_ID.ALIAS ? anchors.get(source.slice(event.anchorStart, event.anchorEnd)) : contentOf(event);
    const isKey = frame!.kind === 'map' && frame!.next === undefined;
    if (isKey && event.type === EVENT_ID.SCALAR) {
      const key = getScalarValue(source, event);
      const path = join(frame!.path, key);
      const line = lineAt(event.valueStart);
      const first = lines.get(path);
      if (first !== undefined && key !== '<<') twice.push({ path, line, first });
      lines.set(path, line);
      frame!.next = path;
      continue;
    }
    // A key that is itself a list, a map or an alias is never a known key. It gets a path of its own, so that its value is not read as the next key.
    const path = isKey ? `${frame!.path}?${++unnamed}` : valuePath(frame!);
    if (frame!.kind === 'list') {
      lines.set(path, lineAt(startOf(event)));
      frame!.next = Number(frame!.next) + 1;
    } else frame!.next = isKey ? path : undefined;
    if (event.type === EVENT_ID.ALIAS && content !== undefined) {
      aliased += content.size;
      const refused = aliasFault(content, aliased, frames.length);
      const name = source.slice(event.anchorStart, event.anchorEnd);
      if (refused !== undefined)
        return { code: refused.code, line: lineAt(event.anchorStart), fault: `${path}: the alias *${name} ${refused.fault}` };
    }
    if (content?.written !== undefined) written.set(path, content.written);
    if (event.type === EVENT_ID.MAPPING) frames.push({ path, next: undefined, kind: 'map', content: content! });
    else if (event.type === EVENT_ID.SEQUENCE) frames.push({ path, next: 0, kind: 'list', content: content! });
    else if (content !== undefined) within(frame!, content);
  }
  return { lines, written, twice };
}

/** Why an alias is not taken. `aliased`: values that all aliases up to it stand for; `depth`: of lists and maps around it, the document included. */
function aliasFault({ height, whole }: Content, aliased: number, depth: number): { code: string; fault: string } | undefined {
  if (!whole)
    return { code: 'config.alias_cycle', fault: 'stands inside the value that it names, so it would contain itself; write the value out' };
  if (aliased > MOST_ALIASED)
    return {
      code: 'config.too_many_aliases',
      fault: `is one too many: the aliases up to it stand for ${aliased} values, and at most ${MOST_ALIASED} are read; write out what is needed`,
    };
  if (depth - 1 + height > DEEPEST)
    return {
      code: 'config.too_deep',
      fault: `stands for lists and maps that are more than ${DEEPEST} deep with those around it; write out what is needed`,
    };
  return undefined;
}

function valuePath({ kind, path, next }: Frame): string {
  return kind === 'list' ? join(path, next!) : kind === 'map' ? String(next) : path;
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
