/** What stands in the place of data: being loaded, none, not allowed, not to be had. */
import { Alert, Button, Skeleton } from '@mantine/core';
import { type ReactNode, useEffect, useState } from 'react';
import { ApiError } from '../data/client.ts';
import { lacks, type Right } from '../data/session.ts';

/** Nothing for 200 ms: what comes at once does not flicker. */
export function Loading({ lines = 6 }: { lines?: number }) {
  const [isSlow, setSlow] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), 200);
    return () => clearTimeout(timer);
  }, []);
  if (!isSlow) return null;
  return (
    <div className="state" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines without an identity
        <Skeleton key={line} height={20} mb={12} width={line % 3 === 2 ? '60%' : '100%'} />
      ))}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="state empty">
      <p className="empty-title">{title}</p>
      {children !== undefined && <div>{children}</div>}
    </div>
  );
}

/** What happened, its code, and the way on. */
export function Failure({ error, retry }: { error: Error; retry?: () => unknown }) {
  const isForbidden = error instanceof ApiError && error.status === 403;
  return (
    <div className="state">
      <Alert color={isForbidden ? 'yellow' : 'red'} title={error instanceof ApiError ? error.title : 'The page met a fault'} role="alert">
        <p>{error.message}</p>
        {error instanceof ApiError && (
          <p className="dim">
            Code <code>{error.code}</code>
          </p>
        )}
        {retry !== undefined && !isForbidden && (
          <Button size="xs" variant="default" mt="xs" onClick={() => void retry()}>
            Try again
          </Button>
        )}
      </Alert>
    </div>
  );
}

/** In the place of a page whose every part needs a right that the key lacks. */
export function Forbidden({ right }: { right: Right }) {
  return <Failure error={new ApiError({ status: 403, code: 'auth.forbidden', title: 'Not for this key', detail: lacks(right) })} />;
}

interface Query<T> {
  data: T | undefined;
  error: Error | null;
  isPlaceholderData?: boolean;
  refetch: () => unknown;
}

/** Draws the data of a query. Data that could not be read anew stay, with a line that says so. */
export function Loaded<T>({ query, children, lines }: { query: Query<T>; children: (data: T) => ReactNode; lines?: number }) {
  const { data, error, isPlaceholderData, refetch } = query;
  if (data === undefined)
    return error === null ? <Loading {...(lines !== undefined && { lines })} /> : <Failure error={error} retry={refetch} />;
  return (
    <>
      {error !== null && (
        <p className="stale-line" role="status">
          Not read again: {error.message}{' '}
          <button type="button" className="text-button" onClick={() => void refetch()}>
            Try again
          </button>
        </p>
      )}
      <div className={isPlaceholderData ? 'old' : undefined}>{children(data)}</div>
    </>
  );
}
