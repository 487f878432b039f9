//! What visitors do. Every form is checked for the token of the session first.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::response::Redirect;
use mainstay::http::session::{CurrentSession, RequireSession, SessionRejection};
use serde::Deserialize;

use crate::{Site, Visit};

type Done = Result<Redirect, SessionRejection>;

fn back() -> Redirect {
    Redirect::to("/")
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    csrf: String,
    user: String,
    password: String,
}

pub(crate) async fn log_in(
    State(site): State<Site>,
    mut session: CurrentSession<Visit>,
    Form(form): Form<Credentials>,
) -> Done {
    session.check_csrf(Some(&form.csrf))?;
    if !is_right(&site, form.user.clone(), form.password).await {
        return Ok(Redirect::to("/?wrong"));
    }
    // What was written down before log-in is kept.
    let visit = session.data().cloned().unwrap_or_default();
    session.log_in(&form.user, &visit).await?;
    Ok(back())
}

#[derive(Deserialize)]
pub(crate) struct Plain {
    csrf: String,
}

pub(crate) async fn log_out(mut session: RequireSession<Visit>, Form(form): Form<Plain>) -> Done {
    session.check_csrf(Some(&form.csrf))?;
    session.log_out().await?;
    Ok(back())
}

pub(crate) async fn log_out_everywhere(
    mut session: RequireSession<Visit>,
    Form(form): Form<Plain>,
) -> Done {
    session.check_csrf(Some(&form.csrf))?;
    session.log_out_everywhere().await?;
    Ok(back())
}

pub(crate) async fn log_out_elsewhere(
    mut session: RequireSession<Visit>,
    Form(form): Form<Plain>,
) -> Done {
    session.check_csrf(Some(&form.csrf))?;
    session.log_out_elsewhere().await?;
    Ok(back())
}

#[derive(Deserialize)]
pub(crate) struct Listed {
    csrf: String,
    id_hash: String,
}

/// Ends one of the user's sessions, as the list names it.
pub(crate) async fn end(
    State(site): State<Site>,
    session: RequireSession<Visit>,
    Form(form): Form<Listed>,
) -> Done {
    session.check_csrf(Some(&form.csrf))?;
    let user = session.user().ok_or(SessionRejection::Required)?;
    site.sessions.revoke_listed(user, &form.id_hash).await?;
    Ok(back())
}

#[derive(Deserialize)]
pub(crate) struct Note {
    csrf: String,
    note: String,
}

pub(crate) async fn note(mut session: CurrentSession<Visit>, Form(form): Form<Note>) -> Done {
    session.check_csrf(Some(&form.csrf))?;
    session
        .update(|visit| visit.note.clone_from(&form.note))
        .await?;
    Ok(back())
}

#[derive(Deserialize)]
pub(crate) struct Confirmation {
    csrf: String,
    password: String,
}

/// Asks for the password again, before what is secret.
pub(crate) async fn confirm(
    State(site): State<Site>,
    mut session: RequireSession<Visit>,
    Form(form): Form<Confirmation>,
) -> Done {
    session.check_csrf(Some(&form.csrf))?;
    let user = session.user().unwrap_or_default().to_owned();
    if is_right(&site, user, form.password).await {
        session.authenticate_again().await?;
    }
    Ok(Redirect::to("/secret"))
}

/// Hashing takes a core for a while: not one that serves others.
async fn is_right(site: &Site, user: String, password: String) -> bool {
    let accounts = Arc::clone(&site.accounts);
    let checked = tokio::task::spawn_blocking(move || accounts.is_right(&user, &password));
    checked.await.unwrap_or(false)
}
