//! A whole store: senders, blocks and writers. A caller that needs one of them asks for that trait alone.

use std::net::IpAddr;
use std::sync::Arc;

use accounting::block::WriterId;
use async_trait::async_trait;
use flow::Counted;

use crate::{Blocks, Flush, Registry, StoreError, Writers};

/// Everything a collector stores, in one place. Its own method is the one that concerns blocks and senders together.
#[async_trait]
pub trait Store: Registry + Blocks + Writers {
    /// Puts a flush of this writer, which may have no blocks, and what senders have announced until it was made: nothing any
    /// more if they were removed before. A store on this machine's disk does both at once, and also records which flushes
    /// of the journal are [counted](crate::Identity::counted) with it: then a crash never leaves one without the other.
    async fn put_flush(
        &self,
        writer: WriterId,
        flush: &Arc<Flush>,
        announced: &[(IpAddr, Vec<u8>)],
        _counted: &[Counted],
    ) -> Result<(), StoreError> {
        self.put_blocks(&flush.blocks).await?;
        self.put_flushed(writer, flush.number).await?;
        let announced = announced.iter().filter(|(_, announcements)| !announcements.is_empty());
        self.put_templates(&announced.cloned().collect::<Vec<_>>()).await
    }

    /// The flushes of the journal that are counted here. Empty for a store that is not on this machine's disk, beside which
    /// there is no journal.
    async fn counted(&self) -> Result<Vec<Counted>, StoreError> {
        Ok(Vec::new())
    }

    /// Records that these flushes are counted here, because all their blocks were copied.
    async fn put_counted(&self, _counted: &[Counted]) -> Result<(), StoreError> {
        Ok(())
    }
}
