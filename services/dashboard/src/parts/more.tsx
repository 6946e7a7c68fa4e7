import { Button } from '@mantine/core';
import type { ReactNode } from 'react';

interface Pages {
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => Promise<unknown>;
}

/** The button below a list that asks for its next page; nothing below the last one. */
export function More({ query, children = 'Show more' }: { query: Pages; children?: ReactNode }) {
  if (!query.hasNextPage) return null;
  return (
    <div className="more">
      <Button size="xs" variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
        {children}
      </Button>
    </div>
  );
}
