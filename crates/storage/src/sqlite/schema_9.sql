-- Version 9: what is written together and what is searched together is together. Rows of older programs stay where they are.

-- Contents that do not fit on one page with their key: to compare a key that is clustered with its content, SQLite reads the
-- whole row, all pages of it.
CREATE TABLE large_content (
    id INTEGER PRIMARY KEY,
    content BLOB NOT NULL
) STRICT;

-- large_content.id; then `content` is empty.
ALTER TABLE block ADD COLUMN large INTEGER;

-- What a flush has counted of a minute; there is a row if, and only if, `minute_block` has rows of it.
CREATE TABLE flushed_minute (
    id INTEGER PRIMARY KEY,
    writer INTEGER NOT NULL,
    start INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    UNIQUE (writer, start, epoch, sequence)
) STRICT;

-- The blocks of minutes, appended flush by flush. In `block`, each flush of a minute put rows among those of the flushes
-- before it, so that it wrote nearly all pages of the minute again. A minute that an older program has begun is continued
-- there: a minute of a writer is in one of the two tables.
CREATE TABLE minute_block (
    -- flushed_minute.id
    flush INTEGER NOT NULL,
    series INTEGER NOT NULL,
    part INTEGER NOT NULL,
    tables INTEGER NOT NULL,
    content BLOB NOT NULL,
    -- As in `block`.
    large INTEGER,
    PRIMARY KEY (flush, series, part, tables)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER large_content_of_block AFTER DELETE ON block WHEN old.large IS NOT NULL
BEGIN
    DELETE FROM large_content WHERE id = old.large;
END;

CREATE TRIGGER large_content_of_minute_block AFTER DELETE ON minute_block WHEN old.large IS NOT NULL
BEGIN
    DELETE FROM large_content WHERE id = old.large;
END;

DROP VIEW IF EXISTS blocks;
CREATE VIEW blocks AS
SELECT
    CASE stored.period WHEN 0 THEN 'minute' WHEN 1 THEN 'hour' WHEN 2 THEN 'day' WHEN 3 THEN 'month' ELSE 'year' END AS period,
    datetime(stored.start * 60, 'unixepoch') AS start,
    series.sender,
    series.prefix,
    printf('%016x', writer.writer) AS writer,
    stored.epoch,
    stored.sequence,
    stored.part,
    printf('%016x', stored.tables) AS tables,
    coalesce(length(large_content.content), length(stored.content)) AS bytes
FROM (
    SELECT period, writer, start, series, epoch, sequence, part, tables, content, large FROM block
    UNION ALL
    SELECT 0, writer, start, series, epoch, sequence, part, tables, content, large
    FROM flushed_minute JOIN minute_block ON minute_block.flush = flushed_minute.id
) AS stored
JOIN series ON series.id = stored.series
JOIN writer ON writer.id = stored.writer
LEFT JOIN large_content ON large_content.id = stored.large;
