DROP TABLE history_budgets;
DROP TABLE history_fetches;
DROP TABLE history_absences;
DROP TABLE history_objects;
UPDATE job_items SET state = 'failed' WHERE state IN ('not_entitled', 'not_yet');
ALTER TABLE job_items
  MODIFY COLUMN state ENUM('pending', 'done', 'skipped', 'no_data', 'failed') NOT NULL DEFAULT 'pending';
ALTER TABLE job_dependencies DROP COLUMN is_part;
