//! What is wrong, as `netflow doctor` finds it. The findings are the command's; this interface only gives them the answers that
//! they are made from, so that a page shows the same.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flow::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::Api;
use crate::error::Error;
use crate::naming::Naming;
use crate::routes::senders::SenderView;
use crate::routes::status::UnknownView;

/// How old a diagnosis is at most.
pub(crate) const INTERVAL: Duration = Duration::from_secs(30);

/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Finds what is wrong.
pub trait Examine: Debug + Send + Sync {
    /// The findings in these answers. `detail` is what `GET /exporters/<address>` answers.
    fn examine(&self, answers: ExaminedAnswers, detail: &dyn Fn(IpAddr) -> Option<Value>) -> Vec<Finding>;
}

/// The answers of this interface that are examined.
#[derive(Debug)]
pub struct ExaminedAnswers {
    /// `GET /status`
    pub status: Value,
    /// `GET /senders`; `None` when the store is unreachable.
    pub senders: Option<Vec<Value>>,
    /// `GET /exporters`
    pub exporters: Vec<Value>,
    /// `GET /unknown`
    pub unknown: Vec<Value>,
}

/// Something that keeps flows from being counted correctly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Finding {
    /// Its name, documented in docs/troubleshooting.md.
    pub finding: &'static str,
    /// The router concerned; null for the collector as a whole.
    #[schema(value_type = Option<String>)]
    pub router: Option<IpAddr>,
    /// The problem.
    pub what: String,
    /// What shows it.
    pub evidence: Vec<String>,
    /// Commands for a shell or the router, and comments that begin with `#`.
    pub run: Vec<String>,
}

/// All findings at one time.
#[derive(Debug, Default)]
pub(crate) struct Diagnosis {
    pub(crate) at: Timestamp,
    pub(crate) findings: Vec<Finding>,
}

/// The last diagnosis, and when it was made.
#[derive(Debug, Default)]
pub(crate) struct LastDiagnosis(Mutex<Option<(Instant, Arc<Diagnosis>)>>);

impl Api {
    /// What is wrong, as it was half a minute ago at most. Without a doctor, nothing is.
    pub(crate) async fn diagnosis(&self) -> Result<Arc<Diagnosis>, Error> {
        let mut last = self.diagnosis.0.lock().await;
        let now = Instant::now();
        if let Some((made, diagnosis)) = &*last
            && now.saturating_duration_since(*made) < INTERVAL
        {
            return Ok(Arc::clone(diagnosis));
        }
        let mut findings = Vec::new();
        if let (Some(doctor), Some((view, _))) = (self.doctor.clone(), self.collector.clone()) {
            let answers = self.examined_answers().await?;
            let examine = move || {
                let detail = |address| view.exporter(address).and_then(|found| serde_json::to_value(found).ok());
                doctor.examine(answers, &detail)
            };
            findings = tokio::task::spawn_blocking(examine).await.map_err(|_| Error::Internal)?;
        }
        let diagnosis = Arc::new(Diagnosis { at: Timestamp::from(SystemTime::now()), findings });
        *last = Some((now, Arc::clone(&diagnosis)));
        Ok(diagnosis)
    }

    async fn examined_answers(&self) -> Result<ExaminedAnswers, Error> {
        let status = json(self.status_view().await?);
        let in_force = timeout(PATIENCE, self.in_force()).await.ok().and_then(Result::ok);
        let senders = in_force.map(|in_force| in_force.senders.into_iter());
        let view = self.view()?;
        Ok(ExaminedAnswers {
            status,
            senders: senders
                .map(|senders| senders.map(|sender| json(SenderView::new(sender, self, &Naming::NONE))).collect()),
            exporters: view.exporters().into_iter().map(json).collect(),
            unknown: view.unknown().into_iter().map(UnknownView::from).map(json).collect(),
        })
    }
}

/// As an answer has it. Plain structures can be written to memory.
fn json(answer: impl Serialize) -> Value {
    serde_json::to_value(answer).unwrap_or_default()
}
