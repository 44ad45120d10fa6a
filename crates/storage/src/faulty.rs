//! A store for tests whose calls fail as planned, before or after they were executed, as when a network loses a request or
//! an acknowledgement. It also records what queries read.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use accounting::block::{Block, BlockKey, WriterId};
use accounting::period::{Interval, Minute, PerPeriod, Period};
use async_trait::async_trait;
use flow::{FlushNumber, Prefix, Setting, Timestamp};
use tokio::sync::Semaphore;

use crate::registrations::{Part, PartKind};
use crate::{
    Blocks, Flush, Progress, Registrations, Registry, Remark, Remarks, Retention, Selection, Sender, Store, StoreError,
    WriterState, Writers,
};

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It succeeds.
    None,
    /// It fails and nothing has happened.
    Before,
    /// It fails although it was executed.
    After,
}

/// A call of a store. Those that put or delete blocks are made of two, one for each half of the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the method of its name")]
pub enum Call {
    Senders,
    Sender,
    AddPrefixes,
    RemovePrefixes,
    RemoveSender,
    TouchSenders,
    PutTemplates,
    Templates,
    Remarks,
    AllRemarks,
    PutRemarks,
    Registrations,
    PutRegistrations,
    PutBlocks,
    ReadBlocks,
    ReadBlocksOf,
    Missing,
    Groups,
    FirstInterval,
    Intervals,
    DeleteBlocks,
    Expire,
    Expired,
    PutExpired,
    ForgetWriter,
    Writers,
    PutWriter,
    ReplaceWriter,
    PutFlushed,
    Progress,
}

/// A store around another one whose calls fail as planned.
#[derive(Debug)]
pub struct Faulty<S> {
    store: S,
    plan: Mutex<VecDeque<Fault>>,
    plans: Mutex<HashMap<Call, VecDeque<Fault>>>,
    gates: Mutex<HashMap<Call, Arc<Semaphore>>>,
    /// What a writer puts meanwhile: one of these before each call.
    meanwhile: Mutex<VecDeque<(WriterId, Arc<Flush>)>>,
    read: Mutex<Read>,
    calls: AtomicUsize,
}

/// What was asked for by [`Blocks::read_blocks`], and which blocks came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// The selections of all calls, in their order.
    pub selections: Vec<Selection>,
    /// The keys of the blocks that they found.
    pub blocks: Vec<BlockKey>,
}

impl<S: Store> Faulty<S> {
    /// A store whose calls do not fail until one is [planned](Self::plan).
    pub fn new(store: S) -> Self {
        Self {
            store,
            plan: Mutex::default(),
            plans: Mutex::default(),
            gates: Mutex::default(),
            meanwhile: Mutex::default(),
            read: Mutex::default(),
            calls: AtomicUsize::new(0),
        }
    }

    /// What becomes of the next calls, one after the other, instead of what was planned before. Calls after the plan
    /// do not fail.
    pub fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = faults.into_iter().collect();
    }

    /// What becomes of the next calls of this kind, whatever becomes of the others. [`plan`](Self::plan) does not count
    /// them.
    pub fn plan_calls(&self, call: Call, faults: impl IntoIterator<Item = Fault>) {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.insert(call, faults.into_iter().collect());
    }

    /// Calls of this kind wait from now on; each permit that is added here lets one of them through.
    pub fn gate(&self, call: Call) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.gates.lock().unwrap_or_else(PoisonError::into_inner).insert(call, Arc::clone(&gate));
        gate
    }

    /// What a writer puts while this store is used: one of these flushes before each of the next calls.
    pub fn meanwhile(&self, writer: WriterId, flushes: impl IntoIterator<Item = Flush>) {
        let mut meanwhile = self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner);
        meanwhile.extend(flushes.into_iter().map(|flush| (writer, Arc::new(flush))));
    }

    /// What was read since this was called last.
    pub fn take_read(&self) -> Read {
        std::mem::take(&mut *self.read.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many calls were made since this was called last.
    pub fn take_calls(&self) -> usize {
        self.calls.swap(0, Ordering::Relaxed)
    }

    /// The store itself, which never fails.
    pub fn inner(&self) -> &S {
        &self.store
    }

    /// What becomes of a call that is being made.
    fn next(&self, call: Call) -> Fault {
        let of_kind =
            self.plans.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&call).and_then(VecDeque::pop_front);
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        of_kind.or_else(|| plan.pop_front()).unwrap_or(Fault::None)
    }

    async fn call<T>(
        &self,
        kind: Call,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let gate = self.gates.lock().unwrap_or_else(PoisonError::into_inner).get(&kind).cloned();
        if let Some(gate) = gate {
            gate.acquire().await.map_err(|closed| StoreError::Reject(closed.into()))?.forget();
        }
        let meanwhile = self.meanwhile.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        if let Some((writer, flush)) = meanwhile {
            self.store.put_flush(writer, &flush, &[], &[]).await?;
        }
        let fault = self.next(kind);
        match fault {
            Fault::None => call.await,
            Fault::Before => Err(StoreError::Retry("the request was lost on purpose".into())),
            Fault::After => {
                call.await?;
                Err(StoreError::Retry("the acknowledgement was lost on purpose".into()))
            }
        }
    }
}

#[async_trait]
impl<S: Store> Registry for Faulty<S> {
    async fn senders(&self) -> Result<Vec<Sender>, StoreError> {
        self.call(Call::Senders, self.store.senders()).await
    }

    async fn sender(&self, address: IpAddr) -> Result<Option<Sender>, StoreError> {
        self.call(Call::Sender, self.store.sender(address)).await
    }

    async fn add_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<(), StoreError> {
        self.call(Call::AddPrefixes, self.store.add_prefixes(address, prefixes)).await
    }

    async fn set(&self, address: IpAddr, settings: &[Setting]) -> Result<(), StoreError> {
        self.call(Call::AddPrefixes, self.store.set(address, settings)).await
    }

    async fn replace(&self, address: IpAddr, kind: PartKind, parts: &[Part]) -> Result<(), StoreError> {
        self.call(Call::AddPrefixes, self.store.replace(address, kind, parts)).await
    }

    async fn remove_prefixes(&self, address: IpAddr, prefixes: &[Prefix]) -> Result<bool, StoreError> {
        self.call(Call::RemovePrefixes, self.store.remove_prefixes(address, prefixes)).await
    }

    async fn remove_sender(&self, address: IpAddr) -> Result<bool, StoreError> {
        self.call(Call::RemoveSender, self.store.remove_sender(address)).await
    }

    async fn touch_senders(&self, last: &[(IpAddr, Timestamp)]) -> Result<(), StoreError> {
        self.call(Call::TouchSenders, self.store.touch_senders(last)).await
    }

    async fn put_templates(&self, announced: &[(IpAddr, Vec<u8>)]) -> Result<(), StoreError> {
        self.call(Call::PutTemplates, self.store.put_templates(announced)).await
    }

    async fn templates(&self) -> Result<Vec<(IpAddr, Vec<u8>)>, StoreError> {
        self.call(Call::Templates, self.store.templates()).await
    }

    async fn remarks(&self, address: IpAddr) -> Result<Vec<Remark>, StoreError> {
        self.call(Call::Remarks, self.store.remarks(address)).await
    }

    async fn all_remarks(&self) -> Result<Remarks, StoreError> {
        self.call(Call::AllRemarks, self.store.all_remarks()).await
    }

    async fn put_remarks(&self, remarks: &Remarks) -> Result<(), StoreError> {
        self.call(Call::PutRemarks, self.store.put_remarks(remarks)).await
    }

    async fn registrations(&self) -> Result<Registrations, StoreError> {
        self.call(Call::Registrations, self.store.registrations()).await
    }

    async fn put_registrations(&self, lost: &Registrations) -> Result<(), StoreError> {
        self.call(Call::PutRegistrations, self.store.put_registrations(lost)).await
    }
}

#[async_trait]
impl<S: Store> Blocks for Faulty<S> {
    async fn put_blocks(&self, blocks: &[Block]) -> Result<(), StoreError> {
        // A store may carry out half of a put.
        let (first, second) = blocks.split_at(blocks.len() / 2);
        self.call(Call::PutBlocks, self.store.put_blocks(first)).await?;
        self.call(Call::PutBlocks, self.store.put_blocks(second)).await
    }

    async fn read_blocks(&self, selections: &[Selection]) -> Result<Vec<Block>, StoreError> {
        let blocks = self.call(Call::ReadBlocks, self.store.read_blocks(selections)).await?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.selections.extend_from_slice(selections);
        read.blocks.extend(blocks.iter().map(|block| block.key));
        drop(read);
        Ok(blocks)
    }

    async fn read_blocks_of(&self, writer: WriterId, selections: &[Selection]) -> Result<Vec<Block>, StoreError> {
        self.call(Call::ReadBlocksOf, self.store.read_blocks_of(writer, selections)).await
    }

    async fn missing(&self, keys: &[BlockKey]) -> Result<Vec<BlockKey>, StoreError> {
        self.call(Call::Missing, self.store.missing(keys)).await
    }

    async fn groups(&self, writer: WriterId, interval: Interval) -> Result<Vec<(IpAddr, Prefix)>, StoreError> {
        self.call(Call::Groups, self.store.groups(writer, interval)).await
    }

    async fn first_interval(
        &self,
        writer: WriterId,
        period: Period,
        from: Minute,
    ) -> Result<Option<Interval>, StoreError> {
        self.call(Call::FirstInterval, self.store.first_interval(writer, period, from)).await
    }

    async fn intervals(
        &self,
        writer: WriterId,
        period: Period,
        from: Minute,
        before: Minute,
    ) -> Result<Vec<Interval>, StoreError> {
        self.call(Call::Intervals, self.store.intervals(writer, period, from, before)).await
    }

    async fn delete_blocks(&self, keys: &[BlockKey]) -> Result<(), StoreError> {
        let (first, second) = keys.split_at(keys.len() / 2);
        self.call(Call::DeleteBlocks, self.store.delete_blocks(first)).await?;
        self.call(Call::DeleteBlocks, self.store.delete_blocks(second)).await
    }

    async fn forget_writer(&self, writer: WriterId) -> Result<(), StoreError> {
        self.call(Call::ForgetWriter, self.store.forget_writer(writer)).await
    }

    async fn expire(&self, writer: WriterId, retention: Retention) -> Result<u64, StoreError> {
        self.call(Call::Expire, self.store.expire(writer, retention)).await
    }

    async fn expired(&self) -> Result<PerPeriod<Minute>, StoreError> {
        self.call(Call::Expired, self.store.expired()).await
    }

    async fn put_expired(&self, before: PerPeriod<Minute>) -> Result<(), StoreError> {
        self.call(Call::PutExpired, self.store.put_expired(before)).await
    }
}

#[async_trait]
impl<S: Store> Writers for Faulty<S> {
    async fn writers(&self) -> Result<Vec<WriterState>, StoreError> {
        self.call(Call::Writers, self.store.writers()).await
    }

    async fn put_writer(&self, state: &WriterState) -> Result<(), StoreError> {
        self.call(Call::PutWriter, self.store.put_writer(state)).await
    }

    async fn replace_writer(&self, known: &WriterState, state: &WriterState) -> Result<bool, StoreError> {
        self.call(Call::ReplaceWriter, self.store.replace_writer(known, state)).await
    }

    async fn put_flushed(&self, writer: WriterId, number: FlushNumber) -> Result<(), StoreError> {
        self.call(Call::PutFlushed, self.store.put_flushed(writer, number)).await
    }

    async fn progress(&self) -> Result<Vec<Progress>, StoreError> {
        self.call(Call::Progress, self.store.progress()).await
    }
}

impl<S: Store> Store for Faulty<S> {}
