//! A server on a free loopback port, with a store in memory or a broken one.

use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use accounting::block::{Block, BlockKey, WriterId};
use accounting::period::{Interval, Minute, PerPeriod, Period};
use api::{Api, Keys, serve};
use async_trait::async_trait;
use flow::{Prefix, Setting, Timestamp};
use storage::registrations::{Part, PartKind};
use storage::{
    Blocks, Memory, Reason, Registry, Remark, Remarks, Retention, Selection, Sender, Store, StoreError, WriterState,
    Writers,
};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc, watch};

pub(crate) const AUTH_KEY: &str = "3f9a4b1e-auth";
pub(crate) const SIGN_KEY: &str = "c1d2-sign key";

/// The keys in all tests.
pub(crate) fn keys() -> Keys {
    Keys::new(AUTH_KEY, SIGN_KEY).unwrap()
}

/// A running server, which stops when this is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<Memory>,
    pub(crate) senders_changed: Arc<Notify>,
    pub(crate) runtime: Runtime,
}

/// Serves this interface, without reloads.
pub(crate) async fn serve_always(listener: TcpListener, api: Api, stop: impl Future<Output = ()> + Send + 'static) {
    serve(listener, mpsc::channel(1).1, watch::channel(api.offer(None)).1, stop).await.unwrap();
}

impl Server {
    pub(crate) fn start() -> Self {
        let store = Arc::new(Memory::default());
        Self::over(Arc::clone(&store) as Arc<dyn Store>, store)
    }

    /// A server whose store fails in this way at every call.
    pub(crate) fn broken(failure: fn(Reason) -> StoreError) -> Self {
        Self::over(Arc::new(Broken::at_once(failure)), Arc::default())
    }

    /// A server that keeps counters for so long.
    pub(crate) fn keeping(keep: PerPeriod<Option<Duration>>) -> Self {
        let store = Arc::new(Memory::default());
        Self::run(Arc::clone(&store) as Arc<dyn Store>, store, keys(), |api| api.keeping(keep))
    }

    /// A server with other keys and settings.
    pub(crate) fn with(keys: Keys, with: impl FnOnce(Api) -> Api) -> Self {
        let store = Arc::new(Memory::default());
        Self::run(Arc::clone(&store) as Arc<dyn Store>, store, keys, with)
    }

    /// A server with other settings, whose store fails in this way at every call.
    pub(crate) fn broken_with(failure: fn(Reason) -> StoreError, with: impl FnOnce(Api) -> Api) -> Self {
        Self::run(Arc::new(Broken::at_once(failure)), Arc::default(), keys(), with)
    }

    /// A server over a store that belongs to the test.
    pub(crate) fn serving(store: Arc<dyn Store>) -> Self {
        Self::over(store, Arc::default())
    }

    /// A server with other keys over a store that belongs to the test.
    pub(crate) fn serving_to(keys: Keys, store: Arc<dyn Store>) -> Self {
        Self::run(store, Arc::default(), keys, |api| api)
    }

    pub(crate) fn over(served: Arc<dyn Store>, store: Arc<Memory>) -> Self {
        Self::run(served, store, keys(), |api| api)
    }

    fn run(served: Arc<dyn Store>, store: Arc<Memory>, keys: Keys, with: impl FnOnce(Api) -> Api) -> Self {
        let runtime = Runtime::new().unwrap();
        let senders_changed = Arc::new(Notify::new());
        let api = with(Api::new(served, keys, Arc::clone(&senders_changed)));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve_always(listener, api, pending()));
        Self { address, store, senders_changed, runtime }
    }

    /// Whether a change was notified since the last call.
    pub(crate) fn was_notified(&self) -> bool {
        use std::pin::pin;
        use std::task::{Context, Waker};
        pin!(self.senders_changed.notified()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    pub(crate) fn touch(&self, sender: &str, at: Timestamp) {
        self.runtime.block_on(self.store.touch_senders(&[(sender.parse().unwrap(), at)])).unwrap();
    }
}

/// A store that fails at every call, with a text that must not reach a client.
pub(crate) struct Broken {
    pub(crate) failure: fn(Reason) -> StoreError,
    pub(crate) after: Duration,
    /// How often it was called.
    pub(crate) calls: AtomicU64,
}

impl Broken {
    /// A store that does not answer.
    pub(crate) fn stuck() -> Self {
        Self { after: Duration::from_secs(3600), ..Self::at_once(StoreError::Retry) }
    }

    pub(crate) fn at_once(failure: fn(Reason) -> StoreError) -> Self {
        Self { failure, after: Duration::ZERO, calls: AtomicU64::new(0) }
    }

    async fn fail<T>(&self) -> Result<T, StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.after).await;
        Err((self.failure)("SECRET detail of /var/lib".into()))
    }
}

#[async_trait]
impl Registry for Broken {
    async fn senders(&self) -> Result<Vec<Sender>, StoreError> {
        self.fail().await
    }
    async fn sender(&self, _: IpAddr) -> Result<Option<Sender>, StoreError> {
        self.fail().await
    }
    async fn add_prefixes(&self, _: IpAddr, _: &[Prefix]) -> Result<(), StoreError> {
        self.fail().await
    }
    async fn remove_prefixes(&self, _: IpAddr, _: &[Prefix]) -> Result<bool, StoreError> {
        self.fail().await
    }
    async fn set(&self, _: IpAddr, _: &[Setting]) -> Result<(), StoreError> {
        self.fail().await
    }
    async fn replace(&self, _: IpAddr, _: PartKind, _: &[Part]) -> Result<(), StoreError> {
        self.fail().await
    }
    async fn remove_sender(&self, _: IpAddr) -> Result<bool, StoreError> {
        self.fail().await
    }
    async fn touch_senders(&self, _: &[(IpAddr, Timestamp)]) -> Result<(), StoreError> {
        self.fail().await
    }
    async fn put_templates(&self, _: &[(IpAddr, Vec<u8>)]) -> Result<(), StoreError> {
        self.fail().await
    }
    async fn templates(&self) -> Result<Vec<(IpAddr, Vec<u8>)>, StoreError> {
        self.fail().await
    }
    async fn remarks(&self, _: IpAddr) -> Result<Vec<Remark>, StoreError> {
        self.fail().await
    }
    async fn all_remarks(&self) -> Result<Remarks, StoreError> {
        self.fail().await
    }
    async fn put_remarks(&self, _: &Remarks) -> Result<(), StoreError> {
        self.fail().await
    }
}

#[async_trait]
impl Blocks for Broken {
    async fn put_blocks(&self, _: &[Block]) -> Result<(), StoreError> {
        self.fail().await
    }
    async fn read_blocks(&self, _: &[Selection]) -> Result<Vec<Block>, StoreError> {
        self.fail().await
    }
    async fn groups(&self, _: WriterId, _: Interval) -> Result<Vec<(IpAddr, Prefix)>, StoreError> {
        self.fail().await
    }
    async fn first_interval(&self, _: WriterId, _: Period, _: Minute) -> Result<Option<Interval>, StoreError> {
        self.fail().await
    }
    async fn delete_blocks(&self, _: &[BlockKey]) -> Result<(), StoreError> {
        self.fail().await
    }
    async fn forget_writer(&self, _: WriterId) -> Result<(), StoreError> {
        self.fail().await
    }
    async fn expire(&self, _: WriterId, _: Retention) -> Result<u64, StoreError> {
        self.fail().await
    }
    async fn expired(&self) -> Result<PerPeriod<Minute>, StoreError> {
        self.fail().await
    }
    async fn put_expired(&self, _: PerPeriod<Minute>) -> Result<(), StoreError> {
        self.fail().await
    }
}

#[async_trait]
impl Writers for Broken {
    async fn writers(&self) -> Result<Vec<WriterState>, StoreError> {
        self.fail().await
    }
    async fn put_writer(&self, _: &WriterState) -> Result<(), StoreError> {
        self.fail().await
    }
    async fn replace_writer(&self, _: &WriterState, _: &WriterState) -> Result<bool, StoreError> {
        self.fail().await
    }
}

impl Store for Broken {}
