//! The database that the work writes to: it has the last word on who leads.

use std::path::Path;

use mainstay::lock::Fence;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};

/// One row a job: how often it ran, and the fence of the leader that ran it last.
#[derive(Debug, Clone)]
pub struct Ledger(SqlitePool);

/// Whether a run was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Recorded {
    /// It is the newest.
    Recorded,
    /// A later leader has written: this one's time is over, whatever it believes.
    Refused,
}

/// A fence takes the place of a smaller one and of its own; a smaller one changes nothing.
const RECORD: &str = "
    INSERT INTO jobs (name, fence, runs) VALUES (?1, ?2, 1)
    ON CONFLICT (name) DO UPDATE SET fence = ?2, runs = runs + 1 WHERE fence <= ?2";

impl Ledger {
    /// Opens the file, and makes it if it is missing.
    ///
    /// # Errors
    /// That of the database.
    pub async fn open(file: &Path) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePool::connect_with(options).await?;
        let table = "CREATE TABLE IF NOT EXISTS jobs
            (name TEXT PRIMARY KEY, fence INTEGER NOT NULL, runs INTEGER NOT NULL)";
        sqlx::query(table).execute(&pool).await?;
        Ok(Self(pool))
    }

    /// Records a run of a job, unless a leader with a larger fence has recorded one.
    ///
    /// # Errors
    /// That of the database.
    pub async fn record(&self, job: &str, fence: Fence) -> Result<Recorded, sqlx::Error> {
        // Microseconds since 1970: far below the largest integer of a database.
        let fence = fence.get().cast_signed();
        let query = sqlx::query(RECORD).bind(job).bind(fence);
        Ok(match query.execute(&self.0).await?.rows_affected() {
            0 => Recorded::Refused,
            _ => Recorded::Recorded,
        })
    }

    /// How often a job ran.
    ///
    /// # Errors
    /// That of the database.
    pub async fn runs(&self, job: &str) -> Result<i64, sqlx::Error> {
        let query = sqlx::query_scalar("SELECT runs FROM jobs WHERE name = ?1");
        let runs = query.bind(job).fetch_optional(&self.0).await?;
        Ok(runs.unwrap_or(0))
    }
}
