//! Servers that tell who is logged in, each with the sessions of another library, or without any.

mod axum_session;
mod bare;
mod mainstay;
mod tower_sessions;

use std::fmt::Display;
use std::net::SocketAddr;

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;

use super::Profile;
use crate::Outcome;
use crate::scenario::connection;

/// Serves as the named server, until the standard input ends.
pub(crate) async fn serve(name: &str, url: &str) -> Outcome<()> {
    match name {
        "mainstay" => listen(mainstay::router(url).await?).await,
        "tower-sessions" => listen(tower_sessions::router(url).await?).await,
        "tower-sessions-saving" => listen(tower_sessions::saving(url).await?).await,
        "axum-session" => listen(axum_session::router(url).await?).await,
        "axum-session-unremembered" => listen(axum_session::unremembered(url).await?).await,
        "constant" => listen(bare::constant()).await,
        "redis-rs" => listen(bare::router(connection::bare(url).await?)).await,
        "raw-link" => {
            let (wire, _running) = connection::raw_link(url).await?;
            listen(bare::router(wire)).await
        }
        other => Err(format!("no server is called {other}").into()),
    }
}

/// Tells the port to who asks on the standard input.
async fn listen(router: Router) -> Outcome<()> {
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

/// What a handler answers, or why it does not.
type Answered = Result<Response, (StatusCode, String)>;

fn told(profile: &impl Serialize) -> Response {
    Json(profile).into_response()
}

fn refused() -> (StatusCode, String) {
    (StatusCode::UNAUTHORIZED, "nobody is logged in".to_owned())
}

fn failed(error: impl Display) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}
