import { afterEach, beforeEach } from 'vitest';
import { type Database, openDatabase } from '../../services/platform/database/database.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';

/** An empty schema for each test of a file, with a pool of the account that may change it. */
export function unmigratedOfEach(): { readonly database: TestDatabase; readonly db: Database } {
  let database: TestDatabase;
  let db: Database;
  beforeEach(async () => {
    database = await testDatabase({ migrated: false });
    db = openDatabase(database.migrate);
  });
  afterEach(async () => {
    await db.close();
    await database.drop();
  });
  return {
    get database() {
      return database;
    },
    get db() {
      return db;
    },
  };
}

export interface Column {
  table_name: string;
  column_name: string;
  data_type: string;
  column_type: string;
  extra: string;
}

/** All but those of the schema's own bookkeeping. */
export const columnsOf = (db: Database, schema: string): Promise<Column[]> =>
  db.rows<Column>(
    `SELECT c.table_name AS table_name, c.column_name AS column_name, c.data_type AS data_type, c.column_type AS column_type, c.extra AS extra, c.is_nullable AS is_nullable,
            c.column_default AS column_default, c.collation_name AS collation_name, c.generation_expression AS generation_expression, c.column_comment AS column_comment
       FROM information_schema.columns c WHERE c.table_schema = ? AND c.table_name NOT LIKE 'schema\\_%' ORDER BY c.table_name, c.ordinal_position`,
    [schema],
  );

/** All that makes two schemas the same: tables, columns, indexes. */
export async function shapeOf(db: Database, schema: string): Promise<unknown> {
  const indexes = await db.rows(
    `SELECT s.table_name AS table_name, s.index_name AS index_name, s.seq_in_index AS seq, s.column_name AS column_name, s.non_unique AS non_unique
       FROM information_schema.statistics s WHERE s.table_schema = ? AND s.table_name NOT LIKE 'schema\\_%' ORDER BY s.table_name, s.index_name, s.seq_in_index`,
    [schema],
  );
  return { columns: await columnsOf(db, schema), indexes };
}
