-- Version 3: tables has 64 bits, as the signed integer with the same bits. Bit 8 * direction + field for the fields 0 to 7,
-- as before, and 32 + 8 * direction + field - 8 for the fields 8 to 15: rows of older programs stay as they are. Older
-- programs refuse this file, because they could read neither such sets nor blocks of version 2.

DROP VIEW IF EXISTS blocks;
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
    printf('%016x', block.tables) AS tables,
    length(block.content) AS bytes
FROM block
JOIN series ON series.id = block.series
JOIN writer ON writer.id = block.writer;
