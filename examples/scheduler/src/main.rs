//! One instance: `scheduler LEDGER`, with the backend in `MAINSTAY_URL`.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use mainstay::Mainstay;
use scheduler::{Ledger, lead};

/// A leader that dies leads on for so long.
const TTL: Duration = Duration::from_secs(3);
const EVERY: Duration = Duration::from_millis(200);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args_os().nth(1).map(PathBuf::from);
    let file = file.ok_or("usage: scheduler LEDGER, a file that all instances share")?;
    let ledger = Ledger::open(&file).await?;
    let stay = Mainstay::from_env().await?;
    if stay.backend() == "memory" {
        return Err("set MAINSTAY_URL: instances that share no backend would all lead".into());
    }
    let election = stay.election("scheduler").ttl(TTL).build()?;
    let mut candidacy = election.campaign();
    println!("campaigning");
    tokio::select! {
        outcome = lead(&mut candidacy, &ledger, EVERY) => outcome?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    // The next in line leads at once, not after the ttl.
    candidacy.resign().await;
    Ok(())
}
