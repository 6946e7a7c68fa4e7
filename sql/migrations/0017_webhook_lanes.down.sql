DROP TABLE webhook_secrets;
UPDATE callbacks SET state = 'pending' WHERE state = 'waiting';
ALTER TABLE callbacks
  DROP KEY ix_lane,
  DROP COLUMN host,
  MODIFY state ENUM('pending', 'delivered', 'failed') NOT NULL DEFAULT 'pending';
