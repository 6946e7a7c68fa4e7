DROP TABLE audit_log;
DROP TABLE stream_tokens;
ALTER TABLE callbacks DROP COLUMN user_id;
ALTER TABLE api_keys
  DROP KEY ux_old_hash,
  DROP KEY ux_hash,
  DROP COLUMN old_until,
  DROP COLUMN old_hash,
  DROP COLUMN rotated_at,
  DROP COLUMN expires_at;
