ALTER TABLE logins MODIFY hours JSON NOT NULL COMMENT '24 counts by hour of day, UTC, for the predictive pre-fetch';
DROP TABLE imports;
