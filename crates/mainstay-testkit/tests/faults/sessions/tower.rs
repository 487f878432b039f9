//! A service that is built on tower-sessions, with our store in place of its own.

use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use mainstay::Mainstay;
use mainstay_testkit::fixture::{Flavor, Server};
use reqwest::{Client, StatusCode};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tower_sessions::session::{Id, Record};
use tower_sessions::{Expiry, MemoryStore, Session, SessionManagerLayer, SessionStore};

use super::{connect, on_both_flavors};

const COUNTER: &str = "counter";

on_both_flavors! {
    an_application_of_tower_sessions_runs_on_the_store_unchanged
    a_deleted_session_of_tower_sessions_is_not_brought_back
}

mod memory {
    use mainstay::Mainstay;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_application_of_tower_sessions_runs_on_the_store_unchanged() {
        super::expectations(Mainstay::memory().tower_session_store()).await;
    }

    #[tokio::test]
    async fn a_deleted_session_of_tower_sessions_is_not_brought_back() {
        super::deletion(&Mainstay::memory()).await;
    }
}

/// What the test expects is what the crate's own store does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_application_does_the_same_on_the_store_of_tower_sessions() {
    expectations(MemoryStore::default()).await;
}

async fn an_application_of_tower_sessions_runs_on_the_store_unchanged(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    expectations(stay.tower_session_store()).await;
    let keys = server.command(&["KEYS", "*"]).await;
    for key in keys.items() {
        let left = server.command(&["PTTL", key.text()]).await.integer();
        assert!(left > 0, "{} lives for ever", key.text());
    }
}

async fn a_deleted_session_of_tower_sessions_is_not_brought_back(flavor: Flavor) {
    let server = Server::start(flavor).await;
    deletion(&connect(&server.url()).await).await;
}

/// As such applications are written.
fn app<S: SessionStore + Clone>(store: S) -> Router {
    async fn count(session: Session) -> String {
        let counter: u64 = session.get(COUNTER).await.unwrap().unwrap_or_default();
        session.insert(COUNTER, counter + 1).await.unwrap();
        format!("{counter}")
    }
    async fn put(session: Session, Path((key, value)): Path<(String, String)>) {
        session.insert(&key, value).await.unwrap();
    }
    async fn remove(session: Session, Path(key): Path<String>) -> String {
        let removed: Option<String> = session.remove(&key).await.unwrap();
        removed.unwrap_or_default()
    }
    async fn cycle(session: Session) {
        session.cycle_id().await.unwrap();
    }
    async fn flush(session: Session) {
        session.flush().await.unwrap();
    }
    let layer = SessionManagerLayer::new(store)
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(time::Duration::milliseconds(1_500)));
    Router::new()
        .route("/", get(count))
        .route("/put/{key}/{value}", post(put))
        .route("/remove/{key}", post(remove))
        .route("/cycle", post(cycle))
        .route("/flush", post(flush))
        .layer(layer)
}

struct Visitor {
    client: Client,
    url: String,
    cookie: Option<String>,
}

impl Visitor {
    async fn ask(&mut self, path: &str) -> String {
        let url = format!("{}{path}", self.url);
        let mut request = match path {
            "/" => self.client.get(url),
            _ => self.client.post(url),
        };
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        if let Some(field) = response.headers().get("set-cookie") {
            let pair = field.to_str().unwrap().split(';').next().unwrap();
            self.cookie = Some(pair.to_owned());
        }
        response.text().await.unwrap()
    }
}

struct Serving(JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn expectations<S: SessionStore + Clone>(store: S) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = app(store);
    let _serving = Serving(tokio::spawn(async move {
        axum::serve(listener, app).await.unwrap();
    }));
    let mut visitor = Visitor {
        client: Client::new(),
        url,
        cookie: None,
    };
    for expected in ["0", "1", "2"] {
        assert_eq!(visitor.ask("/").await, expected);
    }
    visitor.ask("/put/color/blue").await;
    visitor.ask("/put/size/large").await;
    assert_eq!(visitor.ask("/remove/color").await, "blue");
    assert_eq!(visitor.ask("/remove/color").await, "");

    let before = visitor.cookie.clone();
    visitor.ask("/cycle").await;
    assert_ne!(visitor.cookie, before);
    assert_eq!(visitor.ask("/").await, "3");
    assert_eq!(visitor.ask("/remove/size").await, "large");
    let after = std::mem::replace(&mut visitor.cookie, before);
    assert_eq!(
        visitor.ask("/").await,
        "0",
        "the old id is good for nothing"
    );

    visitor.cookie = after;
    let flushed = visitor.cookie.clone();
    visitor.ask("/flush").await;
    visitor.cookie = flushed;
    assert_eq!(visitor.ask("/").await, "0");

    // Each change begins the time anew; without one it ends.
    for expected in ["1", "2"] {
        sleep(Duration::from_millis(1_000)).await;
        assert_eq!(visitor.ask("/").await, expected);
    }
    sleep(Duration::from_millis(1_600)).await;
    assert_eq!(visitor.ask("/").await, "0", "it outlived its time");
}

async fn deletion(stay: &Mainstay) {
    let store = stay.tower_session_store();
    let mut record = Record {
        id: Id::default(),
        data: [("user".to_owned(), "ada".into())].into(),
        expiry_date: OffsetDateTime::now_utc() + time::Duration::hours(1),
    };
    store.create(&mut record).await.unwrap();
    let in_flight = store.load(&record.id).await.unwrap().unwrap();
    assert_eq!(in_flight.data, record.data);
    let off = in_flight.expiry_date - record.expiry_date;
    assert!(off.abs() < time::Duration::seconds(1), "{off}");

    // An id that is taken is not taken over.
    let mut other = record.clone();
    other.data.clear();
    store.create(&mut other).await.unwrap();
    assert_ne!(other.id, record.id);

    store.delete(&record.id).await.unwrap();
    let error = store.save(&in_flight).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the session has ended: it is not made again"
    );
    assert_eq!(store.load(&record.id).await.unwrap(), None);
}
