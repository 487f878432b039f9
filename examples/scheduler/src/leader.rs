//! Works while this instance leads.

use std::time::Duration;

use mainstay::lock::{Candidacy, Leadership, LockWatch};
use tokio::time::{MissedTickBehavior, interval};

use crate::{Ledger, Recorded};

const JOB: &str = "rollup";

/// Runs the job at every tick while the candidate leads, and says on standard output what it does.
/// Returns only with an error.
///
/// # Errors
/// That of the database.
pub async fn lead(
    candidacy: &mut Candidacy,
    ledger: &Ledger,
    every: Duration,
) -> Result<(), sqlx::Error> {
    loop {
        match candidacy.next().await {
            Leadership::Elected(tenure) => {
                println!("elected {}", tenure.fence());
                tokio::select! {
                    outcome = work(&tenure, ledger, every) => outcome?,
                    // Whatever the work was waiting for is dropped here.
                    () = tenure.lost() => {}
                }
            }
            Leadership::Lost { term } => println!("lost {term}"),
        }
    }
}

/// Until the ledger says that another leads.
async fn work(tenure: &LockWatch, ledger: &Ledger, every: Duration) -> Result<(), sqlx::Error> {
    let mut ticks = interval(every);
    // After a pause the job runs once, not as often as it was missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match ledger.record(JOB, tenure.fence()).await? {
            Recorded::Recorded => println!("ran {}", tenure.fence()),
            Recorded::Refused => {
                println!("refused {}", tenure.fence());
                return Ok(());
            }
        }
    }
}
