-- Without capabilities: every worker may run every job that waits. Every statement may run twice, as on the way there.

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

SET @of_ready = IF(
  (SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'ready' AND column_name = 'capability') = 1,
  'ALTER TABLE ready DROP KEY ix_type, ADD KEY ix_type (type, queue, priority), DROP COLUMN capability',
  'DO 0');
PREPARE of_ready FROM @of_ready;
EXECUTE of_ready;
DEALLOCATE PREPARE of_ready;

SET @of_jobs = IF(
  (SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'jobs' AND column_name = 'capability') = 1,
  'ALTER TABLE jobs DROP COLUMN capability',
  'DO 0');
PREPARE of_jobs FROM @of_jobs;
EXECUTE of_jobs;
DEALLOCATE PREPARE of_jobs;

SET @of_instances = IF(
  (SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'instances' AND column_name = 'capabilities') = 1,
  'ALTER TABLE instances DROP COLUMN capabilities',
  'DO 0');
PREPARE of_instances FROM @of_instances;
EXECUTE of_instances;
DEALLOCATE PREPARE of_instances;
