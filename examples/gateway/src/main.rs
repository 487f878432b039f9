//! `gateway`: with the backend in `MAINSTAY_URL`, at 127.0.0.1:8080.

use std::error::Error;
use std::net::SocketAddr;

use mainstay::Mainstay;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let stay = Mainstay::from_env().await?;
    let app = gateway::app(&stay, &["127.0.0.1"])?;
    let listener = TcpListener::bind(("127.0.0.1", 8080)).await?;
    println!("http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(async {
            // Without a signal handler it runs until it is killed.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await?;
    Ok(())
}
