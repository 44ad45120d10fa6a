//! The origins of flows: their AS numbers and countries.

use std::sync::Arc;

use arc_swap::ArcSwap;
use origin::Sources;

/// The sources of origins of now, shared with all shards, which read them with one load for each datagram.
pub type PublishedSources = Arc<ArcSwap<Sources>>;
