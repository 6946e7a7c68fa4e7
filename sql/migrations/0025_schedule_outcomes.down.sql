ALTER TABLE schedule_runs
  DROP COLUMN refused,
  DROP COLUMN joined,
  DROP COLUMN queued,
  DROP COLUMN skipped,
  DROP COLUMN decided_at;
