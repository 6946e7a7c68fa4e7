/** The rows of a long table that are in sight, between two that stand for the others. Loaded by the first table that is long. */
import { useVirtualizer } from '@tanstack/react-virtual';
import type { ReactNode, RefObject } from 'react';

interface LongRowsProps {
  count: number;
  columns: number;
  rowPx: number;
  /** That scrolls. */
  box: RefObject<HTMLElement | null>;
  draw: (from: number, to: number) => ReactNode;
}

export default function LongRows({ count, columns, rowPx, box, draw }: LongRowsProps) {
  const virtual = useVirtualizer({ count, getScrollElement: () => box.current, estimateSize: () => rowPx, overscan: 12 });
  const items = virtual.getVirtualItems();
  const first = items[0];
  const last = items.at(-1);
  if (first === undefined || last === undefined) return null;
  return (
    <>
      <Room px={first.start} columns={columns} />
      {draw(first.index, last.index + 1)}
      <Room px={virtual.getTotalSize() - last.end} columns={columns} />
    </>
  );
}

/** Stands for the rows that are not in the page: rows with a position of their own break the widths of columns. */
function Room({ px, columns }: { px: number; columns: number }) {
  if (px === 0) return null;
  return (
    <tr aria-hidden="true">
      <td colSpan={columns} style={{ height: px, padding: 0 }} />
    </tr>
  );
}
