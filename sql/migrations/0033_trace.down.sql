-- online: yes
ALTER TABLE jobs
  DROP COLUMN trace;
