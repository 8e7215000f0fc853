//! What a start has to do with the jobs of a process that died.

use super::ending::{self, Ending};
use super::memory::{Ended, Queued, Waiting};
use super::{deliveries, rows};
use crate::engine::DeliveryId;
use crate::job::JobError;
use rusqlite::{Connection, TransactionBehavior};
use std::collections::HashMap;
use std::time::Duration;

/// What a start found to do.
pub(super) struct Recovered {
    /// All that wait now, in the order in which they were accepted.
    pub(super) waiting: Vec<Waiting<Queued>>,
    /// How many of them had been running.
    pub(super) resumed: usize,
    /// How many were ended, because they had been running once too often.
    pub(super) exhausted: usize,
    /// How many unfinished jobs each client has.
    pub(super) clients: HashMap<String, usize>,
    /// The deliveries to be made.
    pub(super) deliveries: Vec<(Waiting<DeliveryId>, Duration)>,
}

/// Puts jobs that were running back into the queue, or ends them once their attempts are spent.
pub(super) fn recover(
    connection: &mut Connection,
    most_attempts: u32,
) -> rusqlite::Result<Recovered> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let spent = spent(&transaction, most_attempts)?;
    for (id, attempts) in &spent {
        let error = JobError::attempts_exhausted(*attempts);
        // What is to be told of it is read below, with all the rest.
        ending::end(
            &transaction,
            id,
            Ending::Failed(&error),
            &mut Ended::default(),
        )?;
    }
    let resumed = transaction.execute(
        "UPDATE jobs SET state = 'queued' WHERE state = 'running'",
        [],
    )?;
    let recovered = Recovered {
        waiting: waiting(&transaction)?,
        resumed,
        exhausted: spent.len(),
        clients: clients(&transaction)?,
        deliveries: deliveries::pending(&transaction)?,
    };
    transaction.commit()?;
    Ok(recovered)
}

/// Reads all that [`recover`] will read, and the indices that it will write, and writes nothing.
pub(super) fn rehearse(connection: &Connection) -> rusqlite::Result<()> {
    waiting(connection)?;
    clients(connection)?;
    spent(connection, 0)?;
    deliveries::pending(connection)?;
    for unfinished in [
        "SELECT sum(length(request)) FROM jobs INDEXED BY jobs_unfinished \
         WHERE state IN ('queued', 'running')",
        "SELECT sum(length(job)) FROM deliveries INDEXED BY deliveries_pending \
         WHERE state = 'pending'",
    ] {
        connection.query_row(unfinished, [], |_| Ok(()))?;
    }
    Ok(())
}

fn waiting(connection: &Connection) -> rusqlite::Result<Vec<Waiting<Queued>>> {
    connection
        .prepare(&format!(
            "SELECT {} FROM jobs WHERE state = 'queued' ORDER BY seq",
            rows::WAITING
        ))?
        .query_map([], rows::waiting)?
        .collect()
}

fn clients(connection: &Connection) -> rusqlite::Result<HashMap<String, usize>> {
    connection
        .prepare(
            "SELECT client, count(*) FROM jobs WHERE state IN ('queued', 'running') \
             GROUP BY client",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Id and attempts of the jobs that have no attempt left.
fn spent(connection: &Connection, most_attempts: u32) -> rusqlite::Result<Vec<(String, u32)>> {
    connection
        .prepare(
            "SELECT id, attempts FROM jobs WHERE state IN ('queued', 'running') \
             AND attempts >= ?1 ORDER BY seq",
        )?
        .query_map([most_attempts], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
