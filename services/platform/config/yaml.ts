import { CORE_SCHEMA, constructFromEvents, EVENT_ID, type Event, mergeTag, parseEvents, YAMLException } from 'js-yaml';
import { type Problem, shorten } from './problems.ts';
import { type Located, locate } from './yaml-places.ts';

/** The content of a YAML file, with the line and the text of each key's value, by dotted path (`job_processor.worker.name`, list items by number). */
interface YamlFile extends Located {
  value: unknown;
}

// Merge keys (`<<: *base`) belong to YAML 1.1, which earlier deployments were written for.
const SCHEMA = CORE_SCHEMA.withTags(mergeTag);

/**
 * Parses one document. A syntax error, an alias that contains itself, and aliases that stand for too much become a problem, and the value is then undefined. A key twice
 * in one map becomes a problem, and the later value is used.
 */
export function parseYaml(text: string, file: string, problems: Problem[]): YamlFile {
  // YAML reads each line end as a line feed. So does whoever counts lines.
  const source = text.replace(/\r\n?/g, '\n');
  const nothing = (code: string, text: string, line?: number): YamlFile => {
    problems.push({ code, place: line === undefined ? file : { file, line }, text });
    return { value: undefined, lines: new Map(), written: new Map() };
  };
  try {
    const events: Event[] = parseEvents(source, { filename: file });
    const documents = events.filter(({ type }) => type === EVENT_ID.DOCUMENT).length;
    if (documents > 1) return nothing('config.syntax', `holds ${documents} YAML documents; keep one, without "---" lines`);
    const found = locate(events, source);
    if ('fault' in found) return nothing(found.code, found.fault, found.line);
    for (const { path, line, first } of found.twice)
      problems.push({
        code: 'config.duplicate_key',
        place: { file, line },
        text: `key "${shorten(path)}" is there twice, first on line ${first}; keep one`,
      });
    const [value] = constructFromEvents(events, { source, filename: file, schema: SCHEMA, json: true });
    return { value, ...found };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    // The parser's own message quotes the lines around the error, which may hold a password.
    return nothing('config.syntax', `not valid YAML: ${error.reason}`, (error.mark?.line ?? 0) + 1);
  }
}
