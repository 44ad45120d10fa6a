-- Version 5: what a start needs while a store on the network is unreachable. The senders that it listed last
-- (`known_senders.rs`):
CREATE TABLE known_sender (
    -- The kind and name of the store, such as 'redis:netflow'.
    store TEXT NOT NULL,
    address TEXT NOT NULL,
    -- One of its prefixes; empty in the row of the sender itself.
    prefix TEXT NOT NULL,
    PRIMARY KEY (store, address, prefix)
) STRICT, WITHOUT ROWID;

-- And what they have announced: rows stay when the store has taken them. Not used by the embedded store.
ALTER TABLE sender_templates ADD COLUMN is_stored INTEGER NOT NULL DEFAULT 0;
