DROP TABLE job_askers;
