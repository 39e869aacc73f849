//! Asking engines with an end in sight.

use super::{Manager, Work};
use crate::engine::{Engine, EngineError};
use crate::model::{Observed, Phase};
use crate::records::Record;
use crate::{Error, engine};
use std::time::Duration;

/// How long an engine may need to come to an end once one was asked for; then it is left where it is.
const GRACE: Duration = Duration::from_secs(10);

impl Manager {
    /// Something that only looks: bounded.
    pub(super) async fn patiently<T>(
        &self,
        name: &str,
        looking: impl Future<Output = engine::Result<T>>,
    ) -> Result<T, Error> {
        bounded(self.0.patience, looking).await.map_err(|e| Error::engine(name, e))
    }

    /// One machine as its engine sees it; `None` only if that is certain.
    pub(super) async fn look_at(&self, record: &Record) -> Result<Option<Observed>, Error> {
        let engine = self.engine_of(record)?;
        self.look_on(engine.as_ref(), &record.wanted.name, Some(&record.wanted.id)).await
    }

    /// As [`Manager::look_at`], for a name that may have no record.
    pub(super) async fn look_on(
        &self,
        engine: &dyn Engine,
        name: &str,
        id: Option<&String>,
    ) -> Result<Option<Observed>, Error> {
        let unknown = |why: String| Error::Unknown { name: name.into(), why };
        let seen = bounded(self.0.patience, engine.look(name))
            .await
            .map_err(|e| unknown(e.to_string()))?;
        let Some(seen) = seen else { return Ok(None) };
        if seen.name != name {
            return Err(unknown(format!("the engine answered with {:?}", seen.name)));
        }
        if let Phase::Unknown(why) = seen.phase {
            return Err(unknown(why));
        }
        if let (Some(seen), Some(recorded)) = (&seen.id, id)
            && seen != recorded
        {
            return Err(unknown("the engine has another machine of this name".into()));
        }
        Ok(Some(seen))
    }
}

impl Work {
    /// Something that changes the world: it goes on until it ends, or somebody asks for an end.
    pub(super) async fn ask<T>(
        &self,
        name: &str,
        doing: impl Future<Output = engine::Result<T>>,
    ) -> Result<T, Error> {
        let mut doing = std::pin::pin!(doing);
        let result = tokio::select! {
            biased;
            result = &mut doing => result,
            () = self.recorder.cancelled() => {
                tokio::time::timeout(GRACE, &mut doing).await.unwrap_or(Err(EngineError::Cancelled))
            }
        };
        result.map_err(|e| Error::engine(name, e))
    }
}

/// An engine that does not answer in time cannot be asked.
pub(super) async fn bounded<T>(
    patience: Duration,
    looking: impl Future<Output = engine::Result<T>>,
) -> engine::Result<T> {
    tokio::time::timeout(patience, looking).await.unwrap_or_else(|_| {
        let within = format!("{} ms", patience.as_millis());
        Err(EngineError::Unreachable(format!("the engine did not answer within {within}")))
    })
}
