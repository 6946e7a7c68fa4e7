/** The table of all pages: sorted by the buttons of its head, read by keyboard, virtual from 200 rows on. */
import {
  columnVisibilityFeature,
  createSortedRowModel,
  rowSortingFeature,
  type SortingState,
  tableFeatures,
  useTable,
} from '@tanstack/react-table';
import { lazy, type ReactNode, Suspense, useMemo, useRef, useState } from 'react';

const LongRows = lazy(() => import('./long-rows.tsx'));

/** Fewer rows are all in the page, where the browser's own search finds them. */
const VIRTUAL_FROM = 200;
const ROW_PX = 36;
/** As many as are in sight before a long table knows how high it is. */
const FIRST_ROWS = 40;

const features = tableFeatures({ rowSortingFeature, columnVisibilityFeature, sortedRowModel: createSortedRowModel() });

export interface Column<T> {
  id: string;
  title: string;
  /** In the place of the title. */
  head?: ReactNode;
  /** Explains the title on hover. */
  hint?: string;
  cell: (row: T) => ReactNode;
  /** What the column is sorted by; without it it is not. null is last. */
  by?: (row: T) => number | string | null;
  align?: 'right';
  /** Takes the room that is left and is cut at its end. */
  grow?: boolean;
}

export interface TableProps<T> {
  /** Of the table, for those who do not see it. */
  name: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string;
  /** At first. Without it the rows stay as they came. */
  sort?: { id: string; desc?: boolean };
  /** Of the box that scrolls. Without it the table is as high as it is, and not virtual. */
  height?: number | string;
  marked?: (row: T) => boolean;
}

export function Table<T extends object>({ name, columns, rows, rowKey, sort, height, marked }: TableProps<T>) {
  const [sorting, setSorting] = useState<SortingState>(sort === undefined ? [] : [{ id: sort.id, desc: sort.desc ?? false }]);
  const table = useTable({
    features,
    data: rows as T[],
    columns: useMemo(() => columns.map((column) => definition(column)), [columns]),
    getRowId: rowKey,
    state: { sorting },
    onSortingChange: setSorting,
    sortDescFirst: false,
  });
  const sorted = table.getRowModel().rows.map(({ original }) => original);
  const box = useRef<HTMLDivElement>(null);
  const isVirtual = height !== undefined && sorted.length >= VIRTUAL_FROM;
  const isSorted = (id: string) => (sorting[0]?.id === id ? (sorting[0].desc ? 'descending' : 'ascending') : undefined);
  const press = (id: string) =>
    setSorting(sorting[0]?.id === id ? (sorting[0].desc ? [{ id, desc: false }] : [{ id, desc: true }]) : [{ id, desc: false }]);
  const draw = (from: number, to: number) =>
    sorted.slice(from, to).map((row, at) => (
      <tr key={rowKey(row)} aria-rowindex={isVirtual ? from + at + 2 : undefined} data-marked={marked?.(row) || undefined}>
        {columns.map(({ id, cell, align, grow }) => (
          <td key={id} data-align={align} data-grow={grow}>
            {cell(row)}
          </td>
        ))}
      </tr>
    ));

  return (
    <div
      className="table-box"
      ref={box}
      style={height === undefined ? undefined : { maxHeight: height }}
      tabIndex={0}
      role="group"
      aria-label={name}
    >
      <table className="table" aria-rowcount={isVirtual ? sorted.length + 1 : undefined}>
        <thead>
          <tr>
            {columns.map(({ id, title, head, hint, by, align }) => (
              <th key={id} scope="col" data-align={align} aria-sort={isSorted(id)} title={hint}>
                {by === undefined ? (
                  (head ?? title)
                ) : (
                  <button type="button" onClick={() => press(id)}>
                    {title}
                    <span aria-hidden="true">{arrow(isSorted(id))}</span>
                  </button>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {isVirtual ? (
            <Suspense fallback={draw(0, FIRST_ROWS)}>
              <LongRows count={sorted.length} columns={columns.length} rowPx={ROW_PX} box={box} draw={draw} />
            </Suspense>
          ) : (
            draw(0, sorted.length)
          )}
        </tbody>
      </table>
    </div>
  );
}

function definition<T extends object>({ id, by }: Column<T>) {
  return {
    id,
    // undefined stands last in either direction; null would be the smallest.
    accessorFn: (row: T) => by?.(row) ?? undefined,
    enableSorting: by !== undefined,
    sortUndefined: 'last' as const,
    sortFn: (one: { getValue: (id: string) => unknown }, other: { getValue: (id: string) => unknown }) =>
      compare(one.getValue(id), other.getValue(id)),
  };
}

const arrow = (sort: 'ascending' | 'descending' | undefined): string => (sort === undefined ? '' : sort === 'ascending' ? ' ↑' : ' ↓');

function compare(one: unknown, other: unknown): number {
  if (typeof one === 'number' && typeof other === 'number') return one - other;
  return String(one).localeCompare(String(other), 'en', { numeric: true });
}
