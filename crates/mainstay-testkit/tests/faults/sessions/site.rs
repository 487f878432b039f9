//! A site with log-in, as axum serves it, and its visitors.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use mainstay::Mainstay;
use mainstay::http::session::{CurrentSession, RequireSession, SessionLayer, SessionRejection};
use mainstay::session::Sessions;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub(super) type Data = BTreeMap<String, Value>;

/// Sessions whose ids are signed, as all sites here have them.
pub(super) fn sessions(stay: &Mainstay) -> Sessions<Data> {
    let builder = stay.sessions::<Data>().secret("faults");
    builder
        .signed_by(["a key of 32 bytes for the tests."])
        .build()
        .unwrap()
}

/// Where slow requests stand still.
#[derive(Default)]
pub(super) struct Gate {
    pub(super) reached: Notify,
    pub(super) open: Notify,
}

type Answer = Result<Json<Value>, SessionRejection>;

/// A node of the site; ends when it is dropped.
pub(super) struct Site {
    serving: JoinHandle<()>,
    pub(super) url: String,
    pub(super) gate: Arc<Gate>,
}

impl Site {
    pub(super) async fn start(sessions: Sessions<Data>) -> Self {
        let gate = Arc::new(Gate::default());
        let app = Router::new()
            .route("/log-in/{user}", post(log_in))
            .route("/log-out", post(log_out))
            .route("/log-out-everywhere", post(log_out_everywhere))
            .route("/begin", post(begin))
            .route("/me", get(me))
            .route("/visit/{key}", post(visit))
            .route("/slow/{key}", post(slow))
            .route("/slow-rotation", post(slow_rotation))
            .route("/slow-log-in/{user}", post(slow_log_in))
            .route("/slow-authentication", post(slow_authentication))
            .route("/rotate", post(rotate))
            .route("/broken-rotation", post(broken_rotation))
            .route("/authenticate", post(authenticate))
            .route("/vault", get(vault))
            .route("/static", get(async || "no session"))
            .layer(SessionLayer::new(sessions))
            .with_state(Arc::clone(&gate));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { serving, url, gate }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn log_in(mut session: CurrentSession<Data>, Path(user): Path<String>) -> Answer {
    session.log_in(&user, &Data::new()).await?;
    Ok(Json(json!({"user": session.user()})))
}

async fn log_out(mut session: CurrentSession<Data>) -> Result<(), SessionRejection> {
    session.log_out().await
}

async fn log_out_everywhere(mut session: RequireSession<Data>) -> Answer {
    let ended = session.log_out_everywhere().await?;
    Ok(Json(json!({"ended": ended})))
}

async fn begin(mut session: CurrentSession<Data>) -> Result<(), SessionRejection> {
    session.begin(&Data::new()).await
}

async fn me(session: CurrentSession<Data>) -> Json<Value> {
    Json(json!({
        "session": session.session().is_some(),
        "user": session.user(),
        "data": session.data(),
    }))
}

/// Sets a key of its own and counts.
async fn count(session: &mut CurrentSession<Data>, key: &str) -> Answer {
    let counted = session.update(|data| {
        data.insert(key.to_owned(), json!(true));
        let count = data.entry("count".to_owned()).or_insert(json!(0));
        *count = json!(count.as_u64().unwrap() + 1);
    });
    counted.await?;
    Ok(Json(json!(session.data())))
}

async fn visit(mut session: RequireSession<Data>, Path(key): Path<String>) -> Answer {
    count(&mut session, &key).await
}

async fn slow(
    State(gate): State<Arc<Gate>>,
    mut session: RequireSession<Data>,
    Path(key): Path<String>,
) -> Answer {
    gate.reached.notify_one();
    gate.open.notified().await;
    count(&mut session, &key).await
}

/// Gets its new id, and answers when the gate opens.
async fn slow_rotation(
    State(gate): State<Arc<Gate>>,
    mut session: RequireSession<Data>,
) -> Result<(), SessionRejection> {
    session.rotate().await?;
    gate.reached.notify_one();
    gate.open.notified().await;
    Ok(())
}

/// Is logged in, and answers when the gate opens.
async fn slow_log_in(
    State(gate): State<Arc<Gate>>,
    mut session: CurrentSession<Data>,
    Path(user): Path<String>,
) -> Result<(), SessionRejection> {
    session.log_in(&user, &Data::new()).await?;
    gate.reached.notify_one();
    gate.open.notified().await;
    Ok(())
}

async fn slow_authentication(
    State(gate): State<Arc<Gate>>,
    mut session: RequireSession<Data>,
) -> Result<(), SessionRejection> {
    session.authenticate_again().await?;
    gate.reached.notify_one();
    gate.open.notified().await;
    Ok(())
}

async fn rotate(mut session: RequireSession<Data>) -> Result<(), SessionRejection> {
    session.rotate().await
}

async fn broken_rotation(mut session: RequireSession<Data>) -> (StatusCode, &'static str) {
    session.rotate().await.unwrap();
    (StatusCode::INTERNAL_SERVER_ERROR, "something else broke")
}

async fn authenticate(mut session: RequireSession<Data>) -> Result<(), SessionRejection> {
    session.authenticate_again().await
}

async fn vault(session: RequireSession<Data>) -> Result<&'static str, SessionRejection> {
    session.authenticated_within(Duration::from_millis(300))?;
    Ok("gold")
}

/// A browser, as far as cookies go.
#[derive(Clone)]
pub(super) struct Browser {
    client: Client,
    url: String,
    pub(super) cookie: Option<String>,
}

pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) set_cookie: Option<String>,
    pub(super) body: Value,
}

impl Page {
    /// The token that the response sets.
    pub(super) fn token(&self) -> Option<&str> {
        let pair = self.set_cookie.as_deref()?.split(';').next()?;
        pair.strip_prefix("__Host-id=")
    }

    pub(super) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl Browser {
    pub(super) fn new(site: &Site) -> Self {
        let client = Client::builder().timeout(Duration::from_secs(30));
        Self {
            client: client.build().unwrap(),
            url: site.url.clone(),
            cookie: None,
        }
    }

    /// A browser of another node, with the same cookie.
    pub(super) fn at(&self, site: &Site) -> Self {
        Self {
            url: site.url.clone(),
            ..self.clone()
        }
    }

    pub(super) async fn log_in(site: &Site, user: &str) -> Self {
        let mut browser = Self::new(site);
        let page = browser.post(&format!("/log-in/{user}")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        browser
    }

    pub(super) async fn get(&mut self, path: &str) -> Page {
        self.send(Method::GET, path).await
    }

    pub(super) async fn post(&mut self, path: &str) -> Page {
        self.send(Method::POST, path).await
    }

    /// Sends the cookie, and takes the one of the response.
    async fn send(&mut self, method: Method, path: &str) -> Page {
        let page = self.peek(method, path).await;
        match page.token() {
            Some("") => self.cookie = None,
            Some(token) => self.cookie = Some(token.to_owned()),
            None => {}
        }
        page
    }

    /// Posts to one page after another; the cookies that it had then.
    pub(super) async fn walk(&mut self, paths: &[&str]) -> Vec<String> {
        let mut cookies = Vec::new();
        for path in paths {
            let page = self.post(path).await;
            assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.body);
            cookies.extend(self.cookie.clone());
        }
        cookies
    }

    /// Sends the cookie, and keeps it whatever the response says.
    pub(super) async fn peek(&self, method: Method, path: &str) -> Page {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", format!("__Host-id={cookie}"));
        }
        page(request).await
    }

    /// Sends a cookie field as it is.
    pub(super) async fn with_field(&self, path: &str, field: &[u8]) -> Page {
        let request = self.client.get(format!("{}{path}", self.url));
        page(request.header("cookie", field)).await
    }

    /// Who the site says is logged in.
    pub(super) async fn user(&mut self) -> Option<String> {
        let page = self.get("/me").await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        page.body["user"].as_str().map(str::to_owned)
    }
}

async fn page(request: reqwest::RequestBuilder) -> Page {
    let response = request.send().await.unwrap();
    let set_cookie = response.headers().get("set-cookie");
    let set_cookie = set_cookie.map(|field| field.to_str().unwrap().to_owned());
    let status = response.status();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Page {
        status,
        set_cookie,
        body,
    }
}
