-- Whose a job is, for callbacks that name nothing else. Jobs from before are not known by that, and are polled;
-- so are those of code of schema 1 and 2, which may go on.
ALTER TABLE arrow_job ADD COLUMN generation text COLLATE "C";
ALTER TABLE arrow_job DROP CONSTRAINT arrow_job_pkey, ADD PRIMARY KEY (provider, job, credentials);
