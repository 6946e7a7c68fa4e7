-- online: yes
-- Pending answers are taken by one process at a time: the one that has committed them and comes late, or another one in its place. The last column of the table: added without a copy.

ALTER TABLE login_answers
  ADD COLUMN taken_at DATETIME(3) NULL COMMENT 'since when a process is about to publish them that came late or was not the one that committed them';
