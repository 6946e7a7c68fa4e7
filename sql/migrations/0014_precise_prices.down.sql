-- Rounds to the six decimals that the columns had.

ALTER TABLE symbols
  DROP COLUMN unrestated_split,
  DROP COLUMN history_checked_at,
  MODIFY close DECIMAL(18, 6) NULL COMMENT 'newest raw close';

ALTER TABLE holdings
  MODIFY quantity DECIMAL(24, 8) NOT NULL COMMENT '0 = only watched',
  MODIFY cost     DECIMAL(18, 6) NULL COMMENT 'a share, in the instrument''s currency';

ALTER TABLE corporate_actions
  MODIFY value DECIMAL(20, 10) NOT NULL COMMENT 'split: new shares for one old; dividend: cash a share';

ALTER TABLE bars
  MODIFY open           DECIMAL(18, 6) NOT NULL,
  MODIFY high           DECIMAL(18, 6) NOT NULL,
  MODIFY low            DECIMAL(18, 6) NOT NULL,
  MODIFY close          DECIMAL(18, 6) NOT NULL,
  MODIFY adjusted_close DECIMAL(26, 14) NOT NULL COMMENT 'scaled for all later splits and dividends known at as_of',
  MODIFY volume         DECIMAL(22, 4) NOT NULL;
