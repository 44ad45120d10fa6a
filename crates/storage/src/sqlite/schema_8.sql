-- Version 8: what has expired (`Blocks::expired`), so that it is known also when retention is longer later.
CREATE TABLE expired (
    -- 0 minute, 1 hour, 2 day, 3 month, 4 year.
    period INTEGER PRIMARY KEY,
    -- The end of the last interval of which blocks have expired.
    until INTEGER NOT NULL
) STRICT;
