//! What a rehearsal sees of an upgrade while it runs.

use crate::connection::Connection;
use crate::error::Result;
use crate::script::Statement;

use super::plan::Step;

/// Looks on while an upgrade is applied. An upgrade that nobody looks at is the same.
pub(crate) trait Witness {
    /// A session of the server runs what follows.
    fn session(&mut self, pid: i32);
    /// A transaction of whole steps begins; where another session is in its way, it does so again.
    fn attempt_begins(&mut self);
    /// A step begins.
    fn step_begins(&mut self, step: &Step) -> Result<()>;
    /// A statement begins.
    fn statement_begins(&mut self, connection: &mut Connection, statement: &Statement) -> Result<()>;
    /// The statement that began last did not fail; what it holds until the end of its transaction, it still holds.
    fn statement_ended(&mut self, connection: &mut Connection, statement: &Statement, rows: u64) -> Result<()>;
    /// The transaction ended.
    fn transaction_ended(&mut self) -> Result<()>;
    /// The step that began last is applied and recorded.
    fn step_ended(&mut self) -> Result<()>;
    /// What was done in the transaction is undone, and is done again.
    fn rolled_back(&mut self);
}
