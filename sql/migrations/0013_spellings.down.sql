-- The earlier build reads BRK.B as well.
ALTER TABLE holdings
  MODIFY quantity DECIMAL(24, 8) NOT NULL COMMENT '0 = only watched',
  MODIFY cost     DECIMAL(18, 6) NULL COMMENT 'a share, in the instrument''s currency';
