-- Version 4: which flushes of the journal this file counts, in `block` or in the spool. A segment of the journal is counted
-- exactly if this table includes it, whatever else the file knows. One row for each run that has counted something; a run is
-- a writer and an epoch. Rows are never deleted: an old journal may be put beside the file again.
CREATE TABLE counted (
    writer INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    -- The newest flush. Earlier ones of the run are counted too.
    sequence INTEGER NOT NULL,
    PRIMARY KEY (writer, epoch)
) STRICT, WITHOUT ROWID;

-- Segments of older programs name no writer. All up to this flush are counted, those of earlier epochs too.
INSERT INTO counted (writer, epoch, sequence)
SELECT 0, durable_epoch, durable_sequence FROM identity WHERE durable_epoch > 0;
