ALTER TABLE option_runs DROP COLUMN left_out;
ALTER TABLE option_current DROP COLUMN run_at;
ALTER TABLE options_ranks DROP COLUMN marks, DROP COLUMN iv_source, DROP COLUMN rho;
