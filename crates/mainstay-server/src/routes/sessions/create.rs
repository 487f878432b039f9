//! `POST /v1/sessions`: a log-in, or a visitor's session before it.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use mainstay::session::{Device, LoggedIn};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::extract::{JsonBody, Query, duration};
use crate::problem::{Problem, millis};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSession {
    /// None for a visitor.
    user: Option<String>,
    #[serde(default)]
    data: Value,
    idle: Option<Value>,
    absolute: Option<Value>,
    #[serde(default)]
    device: UsedFrom,
    /// The token of the session that the client has had so far.
    in_place_of: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct UsedFrom {
    user_agent: Option<String>,
    address: Option<String>,
}

impl UsedFrom {
    fn device(&self) -> Result<Device, Problem> {
        let mut device = Device::new();
        if let Some(user_agent) = &self.user_agent {
            device = device.with_user_agent(user_agent);
        }
        if let Some(address) = &self.address {
            device = device.with_address(ip_address(address)?);
        }
        Ok(device)
    }
}

fn ip_address(text: &str) -> Result<IpAddr, Problem> {
    text.parse().map_err(|_| {
        Problem::invalid(
            "\"device.address\" is not an IP address: \
             write it without a port, as in 192.0.2.7 or 2001:db8::7",
        )
    })
}

pub(super) async fn create(
    State(app): State<App>,
    uri: Uri,
    JsonBody(new): JsonBody<NewSession>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    Query::of(&uri, &[])?;
    let mut log_in = match &new.user {
        Some(user) => app.sessions.log_in(user, &new.data),
        None => app.sessions.begin(&new.data),
    };
    log_in = log_in.device(new.device.device()?);
    if let Some(idle) = &new.idle {
        log_in = log_in.idle(duration("idle", idle)?);
    }
    if let Some(absolute) = &new.absolute {
        log_in = log_in.absolute(duration("absolute", absolute)?);
    }
    // A text that is no token opens no session: none is left to end, and no reason not to log in. Clients
    // send what they kept, from before a signing key was taken away, too.
    let before = new.in_place_of.as_deref();
    let before = before.and_then(|token| app.sessions.open_token(token).ok());
    if let Some(before) = &before {
        log_in = log_in.in_place_of(before);
    }
    let LoggedIn::Issued(issued) = log_in.create().await? else {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "too_many_sessions",
            "The user has too many sessions",
            "the user has as many sessions as are allowed: end one first",
        ));
    };
    let answer = json!({
        "id": app.sessions.token(&issued.id),
        "user": new.user,
        "expires_in_ms": millis(issued.expires_in),
        "absolute_in_ms": millis(issued.absolute_in),
    });
    Ok((StatusCode::CREATED, Json(answer)))
}
