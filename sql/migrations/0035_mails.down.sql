DROP TABLE notify_stops;

UPDATE notify_messages SET state = 'failed' WHERE state = 'bounced';
ALTER TABLE notify_messages
  DROP COLUMN code,
  DROP COLUMN address,
  MODIFY state ENUM('open', 'sending', 'sent', 'failed', 'suppressed') NOT NULL COMMENT 'open: more events may join it; from sending on it never changes';

DELETE FROM notify_users WHERE CHAR_LENGTH(user_id) > 64;
ALTER TABLE notify_users
  MODIFY user_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL;
