//! Servers that tell who is logged in, each with sessions of another library, or without any.

mod bare;
mod mainstay;
mod saved_in_memory;
mod tower;

use std::net::SocketAddr;

use axum::Json;
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;

use super::Profile;
use super::profile::Claims;
use crate::Outcome;
use crate::scenario::connection;

/// Listens as the named server, tells the port to who asks on the standard input, and ends with it.
pub(crate) async fn serve(name: &str, url: &str) -> Outcome<()> {
    let router = match name {
        "mainstay" => mainstay::router(url).await?,
        "tower-sessions" => tower::router(url, tower::Saves::Changes).await?,
        "tower-sessions-saving" => tower::router(url, tower::Saves::Always).await?,
        "axum-session" => saved_in_memory::router(url, None).await?,
        "axum-session-unremembered" => {
            saved_in_memory::router(url, Some(saved_in_memory::NEVER)).await?
        }
        "constant" => bare::constant(),
        "redis-rs" => bare::router(connection::bare(url).await?),
        "raw-link" => {
            let (wire, running) = ::mainstay::raw_link(url, drop).await?;
            // It is kept until the process ends.
            std::mem::forget(running);
            bare::router(wire)
        }
        other => return Err(format!("no server is called {other}").into()),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(axum::serve(listener, service).into_future());
    println!("{}", json!({ "ready": true }));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while lines.next_line().await?.is_some() {
        println!("{}", json!({ "port": port }));
    }
    server.abort();
    Ok(())
}
