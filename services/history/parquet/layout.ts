/** How the CSV files of a source become the columns of the stored files. */

/** A column of a source's file as DuckDB reads it: `VARCHAR`, `DOUBLE`, `INTEGER`, `TIMESTAMP`, `DATE`, … */
type ColumnType = string;

export interface Layout {
  /** Such as `theta v3 option quote`; for messages. */
  name: string;
  /**
   * The columns by their names in the header. Bound by name, in whatever order the file has them: a missing or an unknown one fails the object. `header: false`: the file
   * has none, and these are its columns in order.
   */
  header: boolean;
  columns: Readonly<Record<string, ColumnType>>;
  /**
   * For each stored column (columns.ts) an SQL expression over the columns above. The macro `et(t)` turns a wall time of New York (`TIMESTAMP`) into a `TIMESTAMPTZ`.
   * A stored column that may be NULL can be left out.
   */
  select: Readonly<Record<string, string>>;
}
