-- Version 7: when the counters of a sender began to mean something else (`remarks.rs`). Of a store on the network, only
-- what this collector has noticed.
CREATE TABLE remark (
    sender TEXT NOT NULL,
    -- Since 1970.
    milliseconds INTEGER NOT NULL,
    -- 'ownNetworks', or the name of a setting.
    kind TEXT NOT NULL,
    was TEXT NOT NULL,
    became TEXT NOT NULL,
    PRIMARY KEY (sender, milliseconds, kind, was, became)
) STRICT, WITHOUT ROWID;

-- By which terms this collector counted each sender last (`last_terms.rs`), as its journal states them.
CREATE TABLE last_terms (
    sender TEXT NOT NULL PRIMARY KEY,
    terms BLOB NOT NULL
) STRICT, WITHOUT ROWID;
