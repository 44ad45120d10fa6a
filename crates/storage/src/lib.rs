//! Where blocks, senders and writers are kept. A store only has to put, read, list and delete; exactness comes from
//! blocks being immutable (`accounting::block`), never from a store's transactions.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`store`] | the trait that every store implements |

pub mod store;

pub use store::{Retention, Selection, Sender, Store, StoreError, WriterState};
