//! Cookies that nobody has issued.

use mainstay_testkit::fixture::{Flavor, Server};
use reqwest::StatusCode;

use super::site::{Browser, Site, sessions};
use super::{connect, on_both_flavors};

on_both_flavors! {
    s7_a_cookie_that_was_not_issued_is_nobodys_and_asks_no_server
}

/// Commands that clients have sent.
async fn commands(server: &Server) -> u64 {
    let info = server.command(&["INFO", "commandstats"]).await;
    let calls = info.text().lines().filter_map(|line| {
        let (name, stats) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        // Its own heartbeat, and what looks here.
        let counts = !["ping", "publish", "info", "config|get", "client|setinfo"].contains(&name);
        let calls = stats.strip_prefix("calls=")?.split(',').next()?;
        counts.then(|| calls.parse::<u64>().unwrap())
    });
    calls.sum()
}

async fn s7_a_cookie_that_was_not_issued_is_nobodys_and_asks_no_server(flavor: Flavor) {
    let server = Server::start(flavor).await;
    let stay = connect(&server.url()).await;
    let site = Site::start(sessions(&stay)).await;
    let ada = Browser::log_in(&site, "ada").await.cookie.unwrap();
    let bob = Browser::log_in(&site, "bob").await.cookie.unwrap();
    let browser = Browser::new(&site);

    let mut fields: Vec<Vec<u8>> = Vec::new();
    let named = |value: &[u8]| [b"__Host-id=", value].concat();
    // Every bit, as far as a header field may hold the byte.
    for bit in 0..ada.len() * 8 {
        let mut value = ada.clone().into_bytes();
        value[bit / 8] ^= 1 << (bit % 8);
        if value[bit / 8] >= 0x20 && value[bit / 8] != 0x7f {
            fields.push(named(&value));
        }
    }
    // Parts of two users, cut anywhere.
    for cut in 1..ada.len() {
        let mixed = format!("{}{}", &ada[..cut], &bob[cut..]);
        // The cut-off ends may be the same.
        if mixed != ada && mixed != bob {
            fields.push(named(mixed.as_bytes()));
        }
    }
    for length in 0..ada.len() {
        fields.push(named(&ada.as_bytes()[..length]));
    }
    let long = "A".repeat(8 << 10);
    for value in [
        long.as_str(),
        &format!("{ada}{ada}"),
        &format!("\"{ada}\""),
        "é",
        "%00",
        "..",
        "=",
    ] {
        fields.push(named(value.as_bytes()));
    }
    fields.push(named(&[0xff, 0xfe, 0x80]));
    fields.push(b"__Host-id".to_vec());
    fields.push(format!("__host-id={ada}").into_bytes());
    fields.push(format!("__Host-id={ada}; __Host-id={bob}").into_bytes());
    fields.push(format!("__Host-id={ada}; __Host-id=x").into_bytes());
    let swapped = format!("{ada}; {bob}").into_bytes();
    fields.push(swapped);

    let before = commands(&server).await;
    for field in &fields {
        let shown = String::from_utf8_lossy(field);
        let page = browser.with_field("/me", field).await;
        assert_eq!(page.status, StatusCode::OK, "{shown}");
        assert_eq!(page.body["session"], false, "{shown}");
        assert_eq!(page.set_cookie, None, "{shown}");
        let page = browser.with_field("/vault", field).await;
        assert_eq!(
            (page.status, page.code()),
            (StatusCode::UNAUTHORIZED, "session_required")
        );
    }
    assert_eq!(commands(&server).await, before, "the server was asked");

    // What was issued is found among anything, and twice the same is one.
    let mixed = [
        b"a=\xff; __Host-id=",
        ada.as_bytes(),
        b"; b; __Host-id=",
        ada.as_bytes(),
    ]
    .concat();
    let page = browser.with_field("/me", &mixed).await;
    assert_eq!(page.body["user"], "ada");
    // A page that asks for no session costs nothing, though there is one.
    let before = commands(&server).await;
    let page = browser.with_field("/static", &mixed).await;
    assert_eq!(page.body, "no session");
    assert_eq!(commands(&server).await, before);
    println!(
        "{flavor}: S7 {} cookies that nobody issued: none is anybody's, none costs a command",
        fields.len()
    );
}
