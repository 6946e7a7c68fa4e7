-- online: yes
-- The id of the job is a column of ix_type, where it stood before as a part of the primary key. MySQL counts no part of the primary key behind a key that names another part of it, so
-- it sorted all jobs of a type for each claim by type. Not a byte more: a secondary key of InnoDB holds the whole primary key.

ALTER TABLE ready
  DROP KEY ix_type,
  ADD KEY ix_type (capability, type, queue, priority, job_id);
