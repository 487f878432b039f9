//! A small orders service over `SQLite` that caches what it reads.
//!
//! What to copy from it is in [`Orders`]: how its caches are defined, and what a write does after
//! its commit. `cargo run -p orders` shows it at work, on memory, or with
//! `MAINSTAY_URL=redis://127.0.0.1:6379` on Redis.

pub mod database;
mod repository;

pub use repository::{MAX_STALENESS, Orders, WriteError};

use serde::{Deserialize, Serialize};

/// One order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Rises with every order.
    pub id: i64,
    /// Whose it is.
    pub customer: i64,
    /// What was ordered.
    pub item: String,
    /// Its price.
    pub cents: i64,
}

/// Some of a customer's orders, newest first.
///
/// It says whose they are, also when it is empty: its tag is made from that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Whose they are.
    pub customer: i64,
    /// At most [`database::PAGE_SIZE`].
    pub orders: Vec<Order>,
}

/// All that a customer has ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Who.
    pub customer: i64,
    /// How many orders.
    pub orders: i64,
    /// What they cost together.
    pub cents: i64,
}
