import { useQuery } from '@tanstack/react-query';
import { answer, api } from '../../data/client.ts';

/** The types of jobs that the mesh takes, each with the schema of its body. */
export const useJobTypes = () =>
  useQuery({
    queryKey: ['job-types'],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: ({ signal }) => answer(api.GET('/v1/job-types', { signal })),
  });
