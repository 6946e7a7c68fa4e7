import { useEffect, useState } from 'react';
import { paced } from '../data/pace.ts';

/** The present moment in milliseconds, renewed every so often: for ages that grow. */
export function useNow(every: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => paced(() => setNow(Date.now())), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}
