//! `cargo run -p login`, then <http://localhost:8080>; ada's password is `correct horse`.
//!
//! With `MAINSTAY_URL=redis://localhost:6379` several of them are one site.

use std::net::SocketAddr;
use std::time::Duration;

use mainstay::Mainstay;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let stay = Mainstay::from_env().await?;
    let app = login::app(&stay, Duration::from_mins(5))?;
    let listener = TcpListener::bind("localhost:8080").await?;
    println!("listening on http://localhost:8080");
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let stop = async {
        // Without the signal's handler it is stopped by the signal itself.
        drop(tokio::signal::ctrl_c().await);
    };
    axum::serve(listener, app)
        .with_graceful_shutdown(stop)
        .await?;
    Ok(())
}
