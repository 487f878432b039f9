//! The site in a real browser, over a real Redis.

#![expect(clippy::unwrap_used, reason = "what the test shares fails as it does")]

use std::net::SocketAddr;
use std::time::Duration;

use fantoccini::cookies::Cookie;
use fantoccini::{Client, Locator};
use mainstay::Mainstay;
use mainstay_testkit::fixture::{Browser, Flavor, Server, eventually};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;

const BOUND: Duration = Duration::from_secs(15);
/// Longer than a page takes.
const FRESH: Duration = Duration::from_secs(3);
const COOKIE: &str = "__Host-id";

struct Site(JoinHandle<()>, String);

impl Site {
    async fn start(stay: &Mainstay) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        // A browser takes secure cookies over plain HTTP from this machine alone.
        let url = format!(
            "http://localhost:{}/",
            listener.local_addr().unwrap().port()
        );
        let app = login::app(stay, FRESH).unwrap();
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let serving = async move { axum::serve(listener, app).await.unwrap() };
        Self(tokio::spawn(serving), url)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A visitor before a browser.
struct Visitor<'a> {
    client: &'a Client,
    url: &'a str,
}

impl Visitor<'_> {
    async fn home(&self) {
        self.client.goto(self.url).await.unwrap();
    }

    async fn type_in(&self, id: &str, text: &str) {
        let field = self.client.find(Locator::Id(id)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Clicks, and waits for the page that follows.
    async fn click(&self, id: &str) {
        let before = self.client.find(Locator::Css("html")).await.unwrap();
        self.client
            .find(Locator::Id(id))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
        eventually("the next page", BOUND, async || {
            match before.tag_name().await {
                Err(_) => Ok(()),
                Ok(name) => Err(name),
            }
        })
        .await;
    }

    async fn log_in(&self, user: &str, password: &str) {
        self.home().await;
        self.type_in("user", user).await;
        self.type_in("password", password).await;
        self.click("log-in").await;
    }

    /// Who is logged in, as the page says.
    async fn who(&self) -> Option<String> {
        self.home().await;
        self.text("who").await
    }

    async fn text(&self, id: &str) -> Option<String> {
        let found = self.client.find_all(Locator::Id(id)).await.unwrap();
        match found.first() {
            Some(element) => Some(element.text().await.unwrap()),
            None => None,
        }
    }

    async fn devices(&self) -> usize {
        let lines = self.client.find_all(Locator::Css("#devices li")).await;
        lines.unwrap().len()
    }

    async fn cookie(&self) -> Cookie<'static> {
        self.client.get_named_cookie(COOKIE).await.unwrap()
    }

    async fn plant(&self, value: &str) {
        self.home().await;
        // By a script, as another page of the host could do that has a hole.
        let planted = format!("document.cookie = '{COOKIE}={value}; Path=/; Secure'");
        self.client.delete_all_cookies().await.unwrap();
        self.client.execute(&planted, Vec::new()).await.unwrap();
        assert_eq!(self.cookie().await.value(), value);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visitors_log_in_and_out_in_real_browsers() {
    let server = Server::start(Flavor::Redis).await;
    let stay = Mainstay::connect(&server.url()).await.unwrap();
    // Two nodes of the site would be two ports, and so two sites to a browser: one is enough here.
    let site = Site::start(&stay).await;
    let (laptop, phone) = tokio::join!(Browser::start(), Browser::start());
    let [laptop, phone] = [&laptop, &phone].map(|browser| Visitor {
        client: browser.client(),
        url: &site.1,
    });

    // A note of before log-in is kept, the id is not, and an id that was planted is not taken.
    assert_eq!(laptop.who().await, None);
    laptop.type_in("note", "milk & <honey>").await;
    laptop.click("keep").await;
    let visitors = laptop.cookie().await.value().to_owned();
    laptop.log_in("ada", "wrong horse").await;
    assert_eq!(
        laptop.text("wrong").await.as_deref(),
        Some("That is not the password.")
    );
    laptop.log_in("ada", "correct horse").await;
    assert_eq!(laptop.text("who").await.as_deref(), Some("ada"));
    let note = laptop.client.find(Locator::Id("note")).await.unwrap();
    assert_eq!(
        note.prop("value").await.unwrap().as_deref(),
        Some("milk & <honey>")
    );

    let cookie = laptop.cookie().await;
    assert_ne!(cookie.value(), visitors);
    assert_eq!(
        (
            cookie.secure(),
            cookie.http_only(),
            cookie.path(),
            cookie.expires()
        ),
        (Some(true), Some(true), Some("/"), None)
    );
    assert_eq!(
        cookie.same_site().map(|it| it.to_string()).as_deref(),
        Some("Lax")
    );
    let seen = laptop
        .client
        .execute("return document.cookie", Vec::new())
        .await;
    assert_eq!(seen.unwrap(), "", "a script sees the cookie");

    let planted = "A".repeat(72);
    phone.plant(&planted).await;
    assert_eq!(phone.who().await, None);
    phone.plant(&visitors).await;
    assert_eq!(
        phone.who().await,
        None,
        "the id of before log-in shows somebody"
    );
    phone.plant(&planted).await;
    phone.log_in("ada", "correct horse").await;
    assert_eq!(phone.text("who").await.as_deref(), Some("ada"));
    assert_ne!(phone.cookie().await.value(), planted);

    // Both are listed, and one ends the other.
    assert_eq!(laptop.who().await.as_deref(), Some("ada"));
    assert_eq!(laptop.devices().await, 2);
    let list = laptop.text("devices").await.unwrap();
    assert!(
        list.contains("Chrome") && list.contains("127.0.0.0/24"),
        "{list}"
    );
    laptop.click("log-out-elsewhere").await;
    assert_eq!(laptop.devices().await, 1);
    assert_eq!(phone.who().await, None);

    // What is secret asks for the password when it was long ago, and the session gets a new id.
    sleep(FRESH).await;
    let before = laptop.cookie().await;
    laptop.click("to-secret").await;
    assert_eq!(laptop.text("secret").await, None);
    laptop.type_in("password", "correct horse").await;
    laptop.click("confirm").await;
    assert_ne!(laptop.cookie().await.value(), before.value());
    assert_eq!(
        laptop.text("secret").await.as_deref(),
        Some("The cake is real.")
    );

    // Log-out everywhere ends both at the next request.
    phone.log_in("ada", "correct horse").await;
    assert_eq!(phone.devices().await, 2);
    laptop.home().await;
    laptop.click("log-out-everywhere").await;
    assert_eq!(laptop.who().await, None);
    assert_eq!(phone.who().await, None);
    assert_eq!(
        server
            .command(&["KEYS", "user:*:sessions"])
            .await
            .items()
            .len(),
        0
    );
}
