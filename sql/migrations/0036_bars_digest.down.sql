-- online: yes
ALTER TABLE symbols
  DROP COLUMN digest_through,
  DROP COLUMN digest_from,
  DROP COLUMN bars_digest,
  DROP COLUMN bars_version;
