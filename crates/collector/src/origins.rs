//! The sources of origins that the shards look up: each part has an owner, which replaces it at any time.
//!
//! The files are read by the command, routes by sessions of BMP, the operator's networks are settings. None of them waits for
//! another, and no shard waits for any.

use std::net::IpAddr;
use std::sync::Arc;

use bmp::Snapshot;
use origin::{Networks, Order, Sources, Table};
use pipeline::PublishedSources;

/// A handle to the sources of a collector. Its copies are handles to the same.
#[derive(Clone, Debug, Default)]
pub struct Origins(PublishedSources);

impl Origins {
    /// The sources of now.
    #[must_use]
    pub fn current(&self) -> Arc<Sources> {
        self.0.load_full()
    }

    /// Looks up in this table of files from the next datagram on.
    pub fn set_files(&self, files: &Arc<Table>) {
        self.0.rcu(|sources| sources.with_files(Arc::clone(files)));
    }

    /// Looks up in these networks of the operator from the next datagram on.
    pub fn set_networks(&self, networks: &Arc<Networks>) {
        self.0.rcu(|sources| sources.with_networks(Arc::clone(networks)));
    }

    /// Looks up in these routes of a router from the next datagram on; `None` if they are not known any more.
    pub fn set_routes(&self, router: IpAddr, routes: Option<&Arc<Snapshot>>) {
        self.0.rcu(|sources| sources.with_routes(router, routes.cloned()));
    }

    /// Believes sources in this order from the next datagram on.
    pub fn set_order(&self, order: Order) {
        self.0.rcu(|sources| sources.with_order(order));
    }

    /// What shards read.
    #[must_use]
    pub fn published(&self) -> PublishedSources {
        Arc::clone(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_replace_their_parts_at_the_same_time() {
        let origins = Origins::default();
        let networks = Arc::new(Networks::new([("192.0.2.0/24".parse().unwrap(), 64500)]));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (origins, networks) = (origins.clone(), &networks);
                scope.spawn(move || {
                    for number in 0..250 {
                        origins.set_routes([10, 0, thread, number].into(), Some(&Arc::default()));
                        origins.set_networks(networks);
                    }
                });
            }
        });
        let sources = origins.current();
        assert_eq!(sources.routes().len(), 1000);
        assert!(Arc::ptr_eq(sources.networks(), &networks));
        assert!(sources.routes().is_sorted_by_key(|(router, _)| *router));
    }
}
