-- online: no, the version before would change bars and leave what stands here of them
-- What the day's comparison of all bars needs to know of them, so that an unchanged history is neither read nor compared bar by bar. With NULL in bars_digest, or in
-- history_checked_at, the next comparison reads them all.

ALTER TABLE symbols
  ADD COLUMN bars_version INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'goes up with each answer of a source that is stored',
  ADD COLUMN bars_digest CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'of the stored bars from digest_from to digest_through, and of all splits and dividends',
  ADD COLUMN digest_from DATE NULL COMMENT 'the oldest stored bar',
  ADD COLUMN digest_through DATE NULL;
