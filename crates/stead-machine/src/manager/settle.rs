//! Finishing or undoing what was cut short on a machine's state.

use super::Work;
use crate::operation::OperationStatus;
use crate::records::{Pending, Record};
use crate::{EngineError, Error};

impl Work {
    /// Settles what is pending on a machine, so that it is whole. One that is to be destroyed needs that only where its
    /// state is to be saved into another.
    pub(super) async fn settle(&self, name: &str, destroys: bool) -> Result<(), Error> {
        let Some(record) = self.manager.records().get(name)? else { return Ok(()) };
        let Some(pending) = record.pending.clone() else { return Ok(()) };
        if destroys && self.about() == name && pending.goes_with_it() {
            return Ok(());
        }
        self.steps().note(&pending.words());
        let undone = match &pending {
            Pending::Snapshot { snapshot, .. } => {
                let engine = self.engine(&record)?;
                self.ask(name, engine.remove_snapshot(name, snapshot, &self.steps())).await?;
                self.settled(record)?;
                true
            }
            Pending::RemoveSnapshot { snapshot, .. } => {
                self.finish_removal(record, snapshot).await?;
                false
            }
            Pending::Clone { .. } => {
                self.undo_clone(record).await?;
                true
            }
            Pending::Restore { .. } => {
                self.finish_restore(record).await?;
                false
            }
            Pending::MoveFrom { .. } => {
                self.finish_move(record).await?;
                false
            }
            Pending::MoveTo { to, .. } => {
                Box::pin(self.finish_move_of(record, to)).await?;
                false
            }
        };
        let status = if undone { OperationStatus::Undone } else { OperationStatus::Done };
        self.manager.operations().settle(name, Some(pending.operation()), &status);
        Ok(())
    }

    /// Puts down that nothing is pending any more.
    pub(super) fn settled(&self, mut record: Record) -> Result<Record, Error> {
        record.pending = None;
        self.write(&record)?;
        Ok(record)
    }

    /// Takes a clone away that is not whole.
    pub(super) async fn undo_clone(&self, record: Record) -> Result<(), Error> {
        let name = record.wanted.name.clone();
        let engine = self.engine(&record)?;
        let steps = self.recorder.steps_to_the_end();
        engine.destroy(&name, &steps).await.map_err(|e| Error::engine(&name, e))?;
        if self.manager.look_at(&record).await?.is_some() {
            let why = "the half-made clone is still there after it was destroyed".into();
            return Err(Error::engine(&name, EngineError::Failed(why)));
        }
        self.manager.records().remove(&record)
    }

    /// The move of this machine's state into another, seen from here. Both are held.
    async fn finish_move_of(&self, record: Record, to: &str) -> Result<(), Error> {
        let operation = record.pending.as_ref().map(Pending::operation);
        if let Some(target) = self.manager.records().get(to)?
            && matches!(target.pending, Some(Pending::MoveFrom { .. }))
            && target.pending.as_ref().map(Pending::operation) == operation
        {
            self.manager.look_at(&target).await?;
            return self.finish_move(target).await;
        }
        // The other is told first: it has the state.
        self.gave_its_state(record)
    }

    /// This machine's state is another's now; what lies in it is fresh.
    pub(super) fn gave_its_state(&self, mut record: Record) -> Result<(), Error> {
        let fresh = self.manager.records().free_state(&record.wanted.name)?;
        record.wanted.state = fresh;
        record.system = None;
        self.settled(record).map(drop)
    }
}
