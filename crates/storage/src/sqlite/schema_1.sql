-- Version 1. Times are minutes since 1970-01-01 UTC unless the name says otherwise; 64-bit identities are kept as the
-- signed integer with the same bits.

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

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    sender TEXT NOT NULL,
    prefix TEXT NOT NULL,
    UNIQUE (sender, prefix)
) STRICT;

-- period: 0 minute, 1 hour, 2 day, 3 month, 4 year. tables: bit 8 * direction + field.
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

CREATE TABLE sender (
    address TEXT PRIMARY KEY,
    last_nanoseconds INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE sender_prefix (
    address TEXT NOT NULL,
    prefix TEXT NOT NULL,
    PRIMARY KEY (address, prefix)
) STRICT, WITHOUT ROWID;

-- What a sender has announced, as docs/storage.md describes it.
CREATE TABLE sender_templates (
    address TEXT PRIMARY KEY,
    announcements BLOB NOT NULL
) STRICT;

-- The writer that this file belongs to: one row.
CREATE TABLE identity (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    writer INTEGER NOT NULL,
    epoch INTEGER NOT NULL
) STRICT;

-- Flushes on their way to a store on the network (spool.rs).
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
