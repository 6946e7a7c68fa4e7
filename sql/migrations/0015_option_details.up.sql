-- online: yes
-- What a ranking says about each contract's volatility, and why a held position is not ranked.

ALTER TABLE options_ranks
  ADD COLUMN rho DOUBLE NULL COMMENT 'dollars a percentage point of the interest rate',
  ADD COLUMN iv_source ENUM('own', 'partner', 'smile') NOT NULL DEFAULT 'own' COMMENT 'where iv comes from',
  ADD COLUMN marks JSON NULL COMMENT 'what is doubtful about the quote';

ALTER TABLE option_current
  ADD COLUMN run_at DATETIME(3) NULL COMMENT 'of the run; an older run does not replace it';

ALTER TABLE option_runs
  ADD COLUMN left_out JSON NULL COMMENT 'in exit mode: each position that is not ranked, and why';
