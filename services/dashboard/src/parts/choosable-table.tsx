import { useState } from 'react';
import { Table, type TableProps } from './table.tsx';

const keyOf = (name: string): string => `stockmesh.columns.${name}`;

/** Ids of the columns that were taken away. What another version has written is no fault of this page. */
function readHidden(name: string): ReadonlySet<string> {
  try {
    const ids: unknown = JSON.parse(localStorage.getItem(keyOf(name)) ?? '[]');
    return new Set(Array.isArray(ids) ? ids.map(String) : []);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return new Set();
  }
}

/** A table whose columns can be taken away and put back; this browser remembers them. `kept`: ids of those that stay. */
export function ChoosableTable<T extends object>({ kept, ...table }: TableProps<T> & { kept: readonly string[] }) {
  const { name, columns } = table;
  const [hidden, setHidden] = useState(() => readHidden(name));
  const toggle = (id: string) => {
    const next = new Set(hidden);
    if (!next.delete(id)) next.add(id);
    localStorage.setItem(keyOf(name), JSON.stringify([...next]));
    setHidden(next);
  };
  return (
    <>
      <Table {...table} columns={columns.filter(({ id }) => kept.includes(id) || !hidden.has(id))} />
      <details className="columns-choice">
        <summary>Columns</summary>
        <fieldset aria-label={`Columns of ${name}`}>
          {columns
            .filter(({ id }) => !kept.includes(id))
            .map(({ id, title }) => (
              <label key={id}>
                <input type="checkbox" checked={!hidden.has(id)} onChange={() => toggle(id)} /> {title}
              </label>
            ))}
        </fieldset>
      </details>
    </>
  );
}
