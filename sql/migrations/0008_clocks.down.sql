ALTER TABLE instances DROP COLUMN clock_offset_ms;
