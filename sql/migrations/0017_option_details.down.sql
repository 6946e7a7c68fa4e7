ALTER TABLE option_runs DROP COLUMN left_out;
ALTER TABLE options_ranks DROP COLUMN marks, DROP COLUMN iv_source, DROP COLUMN rho;
