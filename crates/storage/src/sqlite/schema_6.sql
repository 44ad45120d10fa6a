-- Version 6: by what a store on the network is recognised that has lost registrations (`registrations.rs`).
ALTER TABLE known_sender ADD COLUMN is_registered INTEGER NOT NULL DEFAULT 1;
-- Of the change that made it so; 0 if unknown.
ALTER TABLE known_sender ADD COLUMN number INTEGER NOT NULL DEFAULT 0;

-- When the store listed them last.
CREATE TABLE known_store (
    store TEXT NOT NULL PRIMARY KEY,
    confirmed_nanoseconds INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
