/** The causes of a job. Each has its priority in `jobs.priority_rules` of the configuration. */
export const CAUSES = ['user_login', 'user_request', 'scheduled_update', 'background_analysis'] as const;
export type Cause = (typeof CAUSES)[number];
