/** Removes secrets from a log line before it is written. */

const NAME = String.raw`[\w-]*(?:password|passwd|pwd|secret|api[_-]?key|private[_-]?key|authorization|token|cookie)`;
// A field with such a name at any depth, and the same in JSON that was put into a string, where every quote is escaped once more.
const FIELD = new RegExp(String.raw`("${NAME}"\s*:\s*)(?:"(?:[^"\\]|\\.)*"|(?!null\b)[-\w.]+)`, 'gi');
const ESCAPED_FIELD = new RegExp(String.raw`(\\"${NAME}\\"\s*:\s*)(?:\\"(?:[^"\\]|\\\\(?:\\.|[^\\]))*\\"|(?!null\b)[-\w.]+)`, 'gi');
// user:password@host, a key in a query, a header quoted in a text.
const ADDRESS = /(:\/\/[^\s:/?#"@]*:)[^\s/?#"]*@/g;
const QUERY = new RegExp(String.raw`([?&]${NAME}=)[^\s&"\\#]+`, 'gi');
const HEADER = /(\bauthorization\s*[:=]\s*|\bbearer\s+)(?:(?:bearer|basic)\s+)?[\w.~+/-]{8,}=*/gi;

// A password in an SQL statement that failed, as the driver hands it on: a quote in it has a backslash, which JSON doubles. A statement that was cut ends with its text. No two
// of the alternatives begin alike: a user's name may be the beginning of such a statement with many backslashes, and a choice at each takes hours.
const IDENTIFIED =
  /(\bidentified\s+(?:with\s+[\w'"]+\s+)?(?:by|as)\s+(?:password\s*(?:\(\s*)?)?)'(?:[^'"\\]|\\\\(?:\\.|[^"\\]|(?="))|\\[^\\]|'')*(?:'|(?=")|$)/gi;

const MASK = '•••';

// Most lines contain none of these words. This test takes a tenth of the time of the five replacements.
const SUSPECT = /pass|pwd|secret|key|token|cookie|authorization|bearer|identified|@/i;

export function withoutSecrets(line: string): string {
  if (!SUSPECT.test(line)) return line;
  return line
    .replace(FIELD, `$1"${MASK}"`)
    .replace(ESCAPED_FIELD, `$1\\"${MASK}\\"`)
    .replace(ADDRESS, `$1${MASK}@`)
    .replace(QUERY, `$1${MASK}`)
    .replace(HEADER, `$1${MASK}`)
    .replace(IDENTIFIED, `$1'${MASK}'`);
}
