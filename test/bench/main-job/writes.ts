/** Counts in the database how often each symbol was written, whoever wrote it: a trigger notes each write in the transaction that makes it. */

export interface Writes {
  /** Symbols whose bars were written. */
  symbols: number;
  /** Writes of a symbol that had been written already: of its bars or of its analysis, whichever are more. */
  twice: number;
}

/** For MariaDB and MySQL. An upsert fires it whether or not the row is there; only a check of the source sets `checked_at`, only an analysis `analysed_at`. */
export const NOTE_WRITES_MARIADB = [
  'CREATE TABLE bench_writes (symbol VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, bars INT NOT NULL, analyses INT NOT NULL) ENGINE = InnoDB',
  `CREATE TRIGGER bench_note_writes BEFORE INSERT ON symbols FOR EACH ROW
     IF NEW.checked_at IS NOT NULL OR NEW.analysed_at IS NOT NULL THEN
       INSERT INTO bench_writes VALUES (NEW.symbol, NEW.checked_at IS NOT NULL, NEW.analysed_at IS NOT NULL);
     END IF`,
];

/** The same for PostgreSQL. */
export const NOTE_WRITES_POSTGRES = `
  CREATE TABLE bench_writes (symbol text NOT NULL, bars int NOT NULL, analyses int NOT NULL);
  CREATE FUNCTION bench_note_writes() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO bench_writes VALUES (NEW.symbol, (NEW.checked_at IS NOT NULL)::int, (NEW.analysed_at IS NOT NULL)::int);
    RETURN NEW;
  END $$;
  CREATE TRIGGER bench_note_writes BEFORE INSERT ON symbols FOR EACH ROW EXECUTE FUNCTION bench_note_writes();`;

export const READ_WRITES = 'SELECT symbol, SUM(bars) AS bars, SUM(analyses) AS analyses FROM bench_writes GROUP BY symbol';

/** From the rows of `READ_WRITES`; sums may come as text. */
export function countWrites(rows: readonly { bars: string | number; analyses: string | number }[]): Writes {
  const times = rows.map(({ bars, analyses }) => ({ bars: Number(bars), most: Math.max(Number(bars), Number(analyses)) }));
  return {
    symbols: times.filter(({ bars }) => bars > 0).length,
    twice: times.reduce((sum, { most }) => sum + Math.max(most - 1, 0), 0),
  };
}

type Rows = <T>(sql: string) => Promise<T[]>;

export async function readWrites(rows: Rows): Promise<Writes> {
  return countWrites(await rows(READ_WRITES));
}

/** Symbols that are not fresh, or whose analysis is of an older bar. */
export async function readStale(rows: Rows, newest: string): Promise<number> {
  const [row] = await rows<{ symbols: string | number }>(
    `SELECT COUNT(*) AS symbols FROM symbols WHERE newest_bar < '${newest}' OR analysed_bar IS NULL OR analysed_bar < newest_bar`,
  );
  return Number(row?.symbols);
}
