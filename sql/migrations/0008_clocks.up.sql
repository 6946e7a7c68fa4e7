-- online: yes
-- How far the clock of each machine is from the database's, for the statistics and the alert.

ALTER TABLE instances ADD COLUMN clock_offset_ms BIGINT NULL COMMENT 'the machine''s clock minus the database''s; NULL = not measured';
