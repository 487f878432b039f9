//! What visitors see.

use axum::extract::{RawQuery, State};
use axum::response::Html;
use mainstay::http::session::{CurrentSession, RequireSession, SessionRejection};
use mainstay::session::ListedSession;

use crate::{Site, Visit};

type Page = Result<Html<String>, SessionRejection>;

pub(crate) async fn home(
    State(site): State<Site>,
    RawQuery(query): RawQuery,
    mut session: CurrentSession<Visit>,
) -> Page {
    // A visitor's session, for the token of the form and for the note.
    session.begin(&Visit::default()).await?;
    let csrf = hidden("csrf", &session.csrf_token().unwrap_or_default());
    let note = escape(&session.data().cloned().unwrap_or_default().note);
    let note = format!(
        "<form method=post action=/note>{csrf}<input name=note id=note value=\"{note}\"><button id=keep>Keep</button></form>"
    );
    let Some(user) = session.user() else {
        let wrong = match query.as_deref() {
            Some("wrong") => "<p id=wrong>That is not the password.</p>",
            _ => "",
        };
        return Ok(page(&format!(
            "<h1>Log in</h1>{wrong}\
             <form method=post action=/log-in>{csrf}\
             <input name=user id=user placeholder=name><input name=password id=password type=password placeholder=password>\
             <button id=log-in>Log in</button></form>{note}"
        )));
    };
    let own = session.session().map_or("", |session| session.id_hash());
    let devices = site.sessions.list(user).await?;
    let devices: String = devices.iter().map(|it| device(it, own, &csrf)).collect();
    let action = |path: &str, label: &str| {
        format!("<form method=post action=/{path}>{csrf}<button id={path}>{label}</button></form>")
    };
    Ok(page(&format!(
        "<h1>Hello, <span id=who>{}</span></h1>{note}\
         <h2>Where you are logged in</h2><ul id=devices>{devices}</ul>\
         {}{}{}<a id=to-secret href=/secret>Secret</a>",
        escape(user),
        action("log-out", "Log out"),
        action("log-out-elsewhere", "Log out elsewhere"),
        action("log-out-everywhere", "Log out everywhere"),
    )))
}

fn device(listed: &ListedSession, own: &str, csrf: &str) -> String {
    let device = &listed.record.device;
    let name = device.user_agent.as_deref().unwrap_or("an unknown program");
    let network = device.network.as_deref().unwrap_or("an unknown network");
    let end = if listed.id_hash == own {
        "<b>this one</b>".to_owned()
    } else {
        let id_hash = hidden("id_hash", &listed.id_hash);
        format!(
            "<form method=post action=/end>{csrf}{id_hash}<button class=end>End</button></form>"
        )
    };
    format!(
        "<li>{} from {}, since {} min {end}</li>",
        escape(name),
        escape(network),
        listed.record.age.as_secs() / 60
    )
}

/// For who has shown the password not long ago.
pub(crate) async fn secret(State(site): State<Site>, session: RequireSession<Visit>) -> Page {
    match session.authenticated_within(site.fresh) {
        Ok(()) => Ok(page("<p id=secret>The cake is real.</p>")),
        Err(SessionRejection::AuthenticationTooOld) => {
            let csrf = hidden("csrf", &session.csrf_token().unwrap_or_default());
            Ok(page(&format!(
                "<h1>Your password again</h1><form method=post action=/confirm>{csrf}\
                 <input name=password id=password type=password><button id=confirm>Confirm</button></form>"
            )))
        }
        Err(other) => Err(other),
    }
}

fn hidden(name: &str, value: &str) -> String {
    format!(
        "<input type=hidden name={name} value=\"{}\">",
        escape(value)
    )
}

fn page(body: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Log in</title>\
         <meta name=viewport content=\"width=device-width\"><body>{body}</body></html>"
    ))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}
