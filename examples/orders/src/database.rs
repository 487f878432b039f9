//! What is asked of the database, and told to it. Nothing here knows of a cache.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Error, SqliteConnection, SqlitePool};

use crate::{Order, Page, Total};

/// Orders of a page.
pub const PAGE_SIZE: u32 = 10;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS orders (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        customer INTEGER NOT NULL,
        item TEXT NOT NULL,
        cents INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS orders_of_customer ON orders (customer, id);
    CREATE TABLE IF NOT EXISTS totals (
        customer INTEGER PRIMARY KEY,
        orders INTEGER NOT NULL,
        cents INTEGER NOT NULL
    ) STRICT;
";

/// Opens a database file, which is made if it is not there.
pub async fn open(file: &Path) -> Result<SqlitePool, Error> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .connect_with(options)
        .await?;
    sqlx::raw_sql(SCHEMA).execute(&pool).await?;
    Ok(pool)
}

/// A page of a customer's orders, newest first; pages are counted from 0.
pub async fn page(database: &SqlitePool, customer: i64, number: u32) -> Result<Page, Error> {
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(
        "SELECT id, item, cents FROM orders WHERE customer = ? ORDER BY id DESC LIMIT ? OFFSET ?",
    )
    .bind(customer)
    .bind(PAGE_SIZE)
    .bind(i64::from(number) * i64::from(PAGE_SIZE))
    .fetch_all(database)
    .await?;
    let orders = rows.into_iter().map(|(id, item, cents)| Order {
        id,
        customer,
        item,
        cents,
    });
    Ok(Page {
        customer,
        orders: orders.collect(),
    })
}

/// What a customer has ordered; nothing, if the customer is not known.
pub async fn total(database: &SqlitePool, customer: i64) -> Result<Total, Error> {
    let row: Option<(i64, i64)> =
        sqlx::query_as("SELECT orders, cents FROM totals WHERE customer = ?")
            .bind(customer)
            .fetch_optional(database)
            .await?;
    let (orders, cents) = row.unwrap_or_default();
    Ok(Total {
        customer,
        orders,
        cents,
    })
}

/// Adds an order, to the customer's total as well.
pub(crate) async fn insert(
    transaction: &mut SqliteConnection,
    customer: i64,
    item: String,
    cents: i64,
) -> Result<Order, Error> {
    let (id,) =
        sqlx::query_as("INSERT INTO orders (customer, item, cents) VALUES (?, ?, ?) RETURNING id")
            .bind(customer)
            .bind(&item)
            .bind(cents)
            .fetch_one(&mut *transaction)
            .await?;
    sqlx::query(
        "INSERT INTO totals (customer, orders, cents) VALUES (?, 1, ?)
         ON CONFLICT DO UPDATE SET orders = orders + 1, cents = cents + excluded.cents",
    )
    .bind(customer)
    .bind(cents)
    .execute(transaction)
    .await?;
    Ok(Order {
        id,
        customer,
        item,
        cents,
    })
}

/// Makes every order cheaper by some percent, and every total.
pub(crate) async fn discount(transaction: &mut SqliteConnection, percent: u8) -> Result<(), Error> {
    sqlx::query("UPDATE orders SET cents = cents - cents * ? / 100")
        .bind(percent)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "UPDATE totals SET cents =
         (SELECT sum(cents) FROM orders WHERE orders.customer = totals.customer)",
    )
    .execute(transaction)
    .await?;
    Ok(())
}
