-- Without capabilities: every worker may run every job that waits.

CREATE OR REPLACE SQL SECURITY INVOKER VIEW job_states AS
  SELECT j.id, j.queue,
         CASE WHEN r.job_id IS NOT NULL THEN 'ready' WHEN s.job_id IS NOT NULL THEN 'scheduled' WHEN b.job_id IS NOT NULL THEN 'blocked'
              WHEN n.job_id IS NOT NULL THEN 'running' ELSE e.state END AS state,
         j.priority, COALESCE(r.attempt, s.attempt, b.attempt, n.attempt, e.attempt) AS attempt, j.max_attempts,
         COALESCE(r.due_at, s.due_at, b.due_at, n.due_at, e.ended_at) AS due_at, j.type, j.symbol, j.user_id,
         COALESCE(n.worker_id, e.worker_id) AS worker_id, COALESCE(r.blocked_on, b.blocked_on) AS blocked_on, j.aged, j.has_dependents,
         j.enqueued_at, COALESCE(n.started_at, e.started_at) AS started_at, e.ended_at, j.deaths, j.crashes
    FROM jobs j
    LEFT JOIN ready r ON r.queue = j.queue AND r.priority = j.priority AND r.job_id = j.id
    LEFT JOIN scheduled s ON s.job_id = j.id
    LEFT JOIN blocked b ON b.job_id = j.id
    LEFT JOIN running n ON n.job_id = j.id
    LEFT JOIN ended e ON e.job_id = j.id;

ALTER TABLE ready
  DROP KEY ix_type,
  ADD KEY ix_type (type, queue, priority),
  DROP COLUMN capability;

ALTER TABLE jobs
  DROP COLUMN capability;

ALTER TABLE instances
  DROP COLUMN capabilities;
