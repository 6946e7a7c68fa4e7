import { useQuery } from '@tanstack/react-query';
import { answer, api, type Schemas } from '../../data/client.ts';

export type Detail = Schemas['JobDetail'];

export const useJob = (id: string) =>
  useQuery({ queryKey: ['job', id], queryFn: ({ signal }) => answer(api.GET('/v1/jobs/{id}', { params: { path: { id } }, signal })) });

export const useItems = (id: string, state: string | undefined) =>
  useQuery({
    queryKey: ['job', id, 'items', state],
    queryFn: ({ signal }) =>
      answer(
        api.GET('/v1/jobs/{id}/items', {
          params: { path: { id }, query: { limit: 200, ...(state && { state: state as 'failed' }) } },
          signal,
        }),
      ),
  });

export const useCallbacks = (id: string) =>
  useQuery({
    queryKey: ['job', id, 'callbacks'],
    queryFn: ({ signal }) => answer(api.GET('/v1/jobs/{id}/callbacks', { params: { path: { id } }, signal })),
  });

/** The words of the payload as the server wrote them: numbers above 2^53 and decimals lose digits when they are read. */
export const usePayloadText = (id: string) =>
  useQuery({
    queryKey: ['job', id, 'text'],
    async queryFn({ signal }) {
      const response = await fetch(`/v1/jobs/${id}`, { signal });
      const text = await response.text();
      return { payload: member(text, 'payload'), result: member(text, 'result') };
    },
  });

/** The JSON text of a member of the outermost object; undefined where it is not there. */
export function member(text: string, name: string): string | undefined {
  let depth = 0;
  let isQuoted = false;
  let from: number | undefined;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (isQuoted) {
      if (char === '\\') at += 1;
      else if (char === '"') isQuoted = false;
      continue;
    }
    if (char === '"') {
      if (depth === 1 && from === undefined && text.startsWith(`"${name}":`, at)) {
        from = at + name.length + 3;
        at = from - 1;
        continue;
      }
      isQuoted = true;
    } else if (char === '{' || char === '[') depth += 1;
    else if (char === '}' || char === ']') {
      depth -= 1;
      if (depth === 0 && from !== undefined) return text.slice(from, at);
    } else if (char === ',' && depth === 1 && from !== undefined) return text.slice(from, at);
  }
  return undefined;
}

/** The same text with breaks and indents; no number of it is read. */
export function indented(json: string): string {
  let out = '';
  let depth = 0;
  let isQuoted = false;
  for (let at = 0; at < json.length; at++) {
    const char = json[at] as string;
    if (isQuoted) {
      out += char;
      if (char === '\\') out += json[++at];
      else if (char === '"') isQuoted = false;
    } else if (char === '"') {
      isQuoted = true;
      out += char;
    } else if (char === '{' || char === '[') {
      const isEmpty = json[at + 1] === '}' || json[at + 1] === ']';
      depth += 1;
      out += isEmpty ? char : `${char}\n${'  '.repeat(depth)}`;
    } else if (char === '}' || char === ']') {
      const wasEmpty = json[at - 1] === '{' || json[at - 1] === '[';
      depth -= 1;
      out += wasEmpty ? char : `\n${'  '.repeat(depth)}${char}`;
    } else if (char === ',') out += `,\n${'  '.repeat(depth)}`;
    else if (char === ':') out += ': ';
    else out += char;
  }
  return out;
}
