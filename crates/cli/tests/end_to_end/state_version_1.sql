-- The state file of a collector of layout version 1: two flows in one minute. It is read by every later version.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE writer (
    id INTEGER PRIMARY KEY,
    writer INTEGER NOT NULL UNIQUE,
    -- NULL until the writer has said who it is: its blocks may come first.
    epoch INTEGER,
    seen_nanoseconds INTEGER,
    minutes_rolled_up INTEGER,
    hours_rolled_up INTEGER,
    days_rolled_up INTEGER,
    months_rolled_up INTEGER
) STRICT;
INSERT INTO writer VALUES(1,5217119519481440261,1,1795624130452855362,29927040,29926080,29891520,29453760);
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    sender TEXT NOT NULL,
    prefix TEXT NOT NULL,
    UNIQUE (sender, prefix)
) STRICT;
INSERT INTO series VALUES(1,'127.0.0.1','192.0.2.0/24');
CREATE TABLE block (
    period INTEGER NOT NULL,
    writer INTEGER NOT NULL,
    start INTEGER NOT NULL,
    series INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    part INTEGER NOT NULL,
    tables INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (period, writer, start, series, epoch, sequence, part, tables)
) STRICT, WITHOUT ROWID;
INSERT INTO block VALUES(0,1,29927068,1,1,2,0,255,X'01ff00000007070c07070c0707000100d00f0602000100d00f0602000181c8cdb10c00d00f0602000100d00f0602000100d00f06020001818480800c00d00f0602000100d00f0602000100d00f0602dec48518');
CREATE TABLE sender (
    address TEXT PRIMARY KEY,
    last_nanoseconds INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO sender VALUES('127.0.0.1',1795624130124446241);
CREATE TABLE sender_prefix (
    address TEXT NOT NULL,
    prefix TEXT NOT NULL,
    PRIMARY KEY (address, prefix)
) STRICT, WITHOUT ROWID;
INSERT INTO sender_prefix VALUES('127.0.0.1','192.0.2.0/24');
CREATE TABLE sender_templates (
    address TEXT PRIMARY KEY,
    announcements BLOB NOT NULL
) STRICT;
CREATE TABLE identity (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    writer INTEGER NOT NULL,
    epoch INTEGER NOT NULL
) STRICT;
INSERT INTO identity VALUES(1,5217119519481440261,1);
CREATE TABLE spool_flush (
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (epoch, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE spool_block (
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    period INTEGER NOT NULL,
    start INTEGER NOT NULL,
    sender TEXT NOT NULL,
    prefix TEXT NOT NULL,
    part INTEGER NOT NULL,
    tables INTEGER NOT NULL,
    content BLOB NOT NULL
) STRICT;
CREATE INDEX spool_block_of_flush ON spool_block (epoch, sequence);
CREATE VIEW blocks AS
SELECT
    CASE block.period WHEN 0 THEN 'minute' WHEN 1 THEN 'hour' WHEN 2 THEN 'day' WHEN 3 THEN 'month' ELSE 'year' END AS period,
    datetime(block.start * 60, 'unixepoch') AS start,
    series.sender,
    series.prefix,
    printf('%016x', writer.writer) AS writer,
    block.epoch,
    block.sequence,
    block.part,
    printf('%08x', block.tables) AS tables,
    length(block.content) AS bytes
FROM block
JOIN series ON series.id = block.series
JOIN writer ON writer.id = block.writer;
PRAGMA user_version = 1;
PRAGMA application_id = 1852206199;
COMMIT;
PRAGMA journal_mode = wal;
