-- online: yes
-- The trace that a job belongs to, so that its claim, run and commit are seen together with the login that caused it. The last column of the table: added without a copy.

ALTER TABLE jobs
  ADD COLUMN trace VARCHAR(55) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'W3C traceparent of the transaction that made it; NULL = not traced';
