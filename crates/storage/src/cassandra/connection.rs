//! The session: made at the first use, with keyspace, tables and statements.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::deserialize::row::DeserializeRow;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::timestamp_generator::MonotonicTimestampGenerator;
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::{Batch, BatchStatement, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency};
use scylla::value::{CqlValue, Row};
use tokio::sync::OnceCell;

use super::CassandraSettings;
use super::error::failed;
use super::schema::{self, Statements};
use crate::StoreError;

const CONNECT: Duration = Duration::from_secs(5);
const RESPOND: Duration = Duration::from_secs(15);

/// How many requests are on their way at the same time.
const UNDER_WAY: usize = 128;

pub(super) struct Link {
    settings: CassandraSettings,
    #[cfg(feature = "cassandra-tls")]
    tls: Option<Arc<rustls::ClientConfig>>,
    made: OnceCell<(Session, Statements)>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(settings: CassandraSettings) -> Result<Self, StoreError> {
        if settings.hosts.is_empty() {
            return Err(StoreError::Config("cassandra.hosts names no host".into()));
        }
        let name = settings.keyspace.as_bytes();
        let fits = name.first().is_some_and(u8::is_ascii_alphabetic)
            && name.len() <= 48
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        if !fits {
            return Err(StoreError::Config(
                format!(
                    "'{}' is no name for cassandra.keyspace: a letter, then up to 47 letters, digits and underscores",
                    settings.keyspace
                )
                .into(),
            ));
        }
        if settings.tls && cfg!(not(feature = "cassandra-tls")) {
            return Err(StoreError::Config(
                "this program was built without TLS for Cassandra (cargo feature cassandra-tls)".into(),
            ));
        }
        #[cfg(feature = "cassandra-tls")]
        let tls = match (&settings.authority, settings.tls) {
            (_, false) => None,
            (Some(authority), true) => Some(super::tls::configuration(authority)?),
            (None, true) => {
                return Err(StoreError::Config(
                    "TLS for Cassandra needs the certificate of its authority: set cassandra.authority".into(),
                ));
            }
        };
        Ok(Self {
            settings,
            #[cfg(feature = "cassandra-tls")]
            tls,
            made: OnceCell::new(),
        })
    }

    pub(super) async fn statements(&self) -> Result<&Statements, StoreError> {
        Ok(&self.made().await?.1)
    }

    /// A statement whose rows, if any, are of no interest.
    pub(super) async fn execute(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<(), StoreError> {
        self.made().await?.0.execute_unpaged(statement, values).await.map_err(failed)?;
        Ok(())
    }

    /// A statement with a condition; returns whether it held.
    pub(super) async fn execute_if(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<bool, StoreError> {
        is_applied(self.made().await?.0.execute_unpaged(statement, values).await.map_err(failed)?)
    }

    /// One statement with many values, all for the same partition, as one request.
    pub(super) async fn execute_batch<R: SerializeRow>(
        &self,
        statement: &PreparedStatement,
        rows: Vec<R>,
    ) -> Result<(), StoreError> {
        let statements = vec![BatchStatement::PreparedStatement(statement.clone()); rows.len()];
        let mut batch = Batch::new_with_statements(BatchType::Unlogged, statements);
        batch.set_is_idempotent(true);
        self.made().await?.0.batch(&batch, rows).await.map_err(failed)?;
        Ok(())
    }

    /// Statements about one partition with conditions, as one step; returns whether they held. The driver does not send them
    /// again, as it does not any statement with a condition.
    pub(super) async fn execute_batch_if(
        &self,
        statements: Vec<PreparedStatement>,
        values: Vec<Box<dyn SerializeRow + Send + Sync>>,
    ) -> Result<bool, StoreError> {
        let statements = statements.into_iter().map(BatchStatement::PreparedStatement).collect();
        let batch = Batch::new_with_statements(BatchType::Unlogged, statements);
        let answer = self.made().await?.0.batch(&batch, values).await.map_err(failed)?;
        is_applied(answer)
    }

    /// All rows of a statement, page by page.
    pub(super) async fn rows<R>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata> + 'static,
    {
        let pager = self.made().await?.0.execute_iter(statement.clone(), values).await.map_err(failed)?;
        pager.rows_stream::<R>().map_err(failed)?.try_collect().await.map_err(failed)
    }

    /// Something for each of many items, in their order, many at a time.
    pub(super) async fn each<I, T, F>(&self, items: I, ask: impl FnMut(I::Item) -> F) -> Result<Vec<T>, StoreError>
    where
        I: IntoIterator,
        F: Future<Output = Result<T, StoreError>>,
    {
        stream::iter(items).map(ask).buffered(UNDER_WAY).try_collect().await
    }

    async fn made(&self) -> Result<&(Session, Statements), StoreError> {
        self.made.get_or_try_init(|| self.make()).await
    }

    async fn make(&self) -> Result<(Session, Statements), StoreError> {
        let CassandraSettings { hosts, keyspace, keyspace_config, .. } = &self.settings;
        let mut policy = DefaultPolicy::builder().token_aware(true);
        if let Some(datacenter) = &self.settings.datacenter {
            policy = policy.prefer_datacenter(datacenter.clone()).permit_dc_failover(true);
        }
        let profile = ExecutionProfile::builder()
            .consistency(Consistency::LocalQuorum)
            .serial_consistency(Some(SerialConsistency::LocalSerial))
            .request_timeout(Some(RESPOND))
            .load_balancing_policy(policy.build())
            .build();
        let mut builder = SessionBuilder::new()
            .known_nodes(hosts)
            .connection_timeout(CONNECT)
            .schema_agreement_interval(Duration::from_millis(50))
            .timestamp_generator(Arc::new(MonotonicTimestampGenerator::new()))
            .default_execution_profile_handle(profile.into_handle());
        if let Some(username) = &self.settings.username {
            builder = builder.user(username, self.settings.password.as_deref().unwrap_or_default());
        }
        #[cfg(feature = "cassandra-tls")]
        {
            builder = builder.tls_context(self.tls.clone());
        }
        let session = builder.build().await.map_err(failed)?;
        schema::make(&session, keyspace, keyspace_config).await?;
        let statements = Statements::prepare(&session, keyspace).await?;
        Ok((session, statements))
    }
}

/// Whether the conditions of a statement or a batch held.
fn is_applied(answer: QueryResult) -> Result<bool, StoreError> {
    let row: Row = answer.into_rows_result().map_err(failed)?.first_row().map_err(failed)?;
    // The first column is the answer, the others are the values that differ.
    Ok(matches!(row.columns.first(), Some(Some(CqlValue::Boolean(true)))))
}
