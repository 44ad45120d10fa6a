-- Version 2: which flush of the writer of this file is durable, and what was decided of flushes in the spool.

-- The newest flush that is in this file: in `block`, or in the spool. 0 and 0 before the first one.
ALTER TABLE identity ADD COLUMN durable_epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE identity ADD COLUMN durable_sequence INTEGER NOT NULL DEFAULT 0;

-- How far the writer was rolled up when it was decided which coarser blocks this flush has.
ALTER TABLE spool_flush ADD COLUMN minutes_rolled_up INTEGER NOT NULL DEFAULT 0;
ALTER TABLE spool_flush ADD COLUMN hours_rolled_up INTEGER NOT NULL DEFAULT 0;
ALTER TABLE spool_flush ADD COLUMN days_rolled_up INTEGER NOT NULL DEFAULT 0;
ALTER TABLE spool_flush ADD COLUMN months_rolled_up INTEGER NOT NULL DEFAULT 0;

-- 1 when the store has accepted it, and it is kept until it is seen there again.
ALTER TABLE spool_flush ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0;
