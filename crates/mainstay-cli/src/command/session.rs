//! `mainstay session`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use mainstay::Key;
use mainstay::session::{ListedSession, Sessions};
use serde_json::{Value, json};

use crate::arguments::Global;
use crate::failure::Failure;
use crate::output;
use crate::quantity::{for_people, millis};

const EXAMPLES: &str = "\
Examples:
  mainstay session ls ann
  mainstay session revoke ann --session Zk3V0rJmX2q1...
  mainstay session revoke ann --all

A session's hash names it but cannot be used to log in. Sessions of a program that gives its store
a secret are found by that program only; the HTTP server uses none.";

/// Lists and revokes the sessions of a user
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Session {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Lists a user's valid sessions, at most 1,000
    Ls {
        /// The user
        user: String,
    },
    /// Ends one session of a user, or all of them
    Revoke {
        /// The user
        user: String,
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Every session; exit code 0 even if there was none
    #[arg(long)]
    all: bool,
    /// The one with this hash, as `session ls` shows it; exit code 1 when there is none
    #[arg(long, value_name = "ID_HASH", allow_hyphen_values = true)]
    session: Option<String>,
}

impl Session {
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        match self.action {
            Action::Ls { user } => list(&user, global).await,
            Action::Revoke { user, which } => match which.session {
                Some(id_hash) => revoke_one(&user, &id_hash, global).await,
                None => revoke_all(&user, global).await,
            },
        }
    }
}

async fn open(user: &str, global: &Global) -> Result<Sessions<Value>, Failure> {
    Key::new(user)?;
    Ok(global.connect().await?.sessions::<Value>().build()?)
}

async fn list(user: &str, global: &Global) -> Result<ExitCode, Failure> {
    let listed = open(user, global).await?.list(user).await?;
    if global.json {
        let sessions: Vec<Value> = listed.iter().map(as_json).collect();
        output::line(json!({ "sessions": sessions }))?;
    } else {
        output::line(row(
            ["SESSION", "AGE", "IDLE FOR", "EXPIRES IN"].map(str::to_owned)
        ))?;
        for ListedSession {
            id_hash, record, ..
        } in &listed
        {
            output::line(row([
                id_hash.clone(),
                for_people(record.age),
                for_people(record.idle_for),
                for_people(record.expires_in),
            ]))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(listed: &ListedSession) -> Value {
    let ListedSession {
        id_hash, record, ..
    } = listed;
    json!({
        "id_hash": id_hash,
        "age_ms": millis(record.age),
        "idle_for_ms": millis(record.idle_for),
        "expires_in_ms": millis(record.expires_in),
        "absolute_in_ms": millis(record.absolute_in),
    })
}

fn row([session, age, idle_for, expires_in]: [String; 4]) -> String {
    format!("{session:<34}{age:<14}{idle_for:<14}{expires_in}")
}

async fn revoke_one(user: &str, id_hash: &str, global: &Global) -> Result<ExitCode, Failure> {
    let revoked = open(user, global)
        .await?
        .revoke_listed(user, id_hash)
        .await?;
    if global.json {
        output::line(json!({ "revoked": u8::from(revoked) }))?;
    } else if revoked {
        output::line("1 session revoked")?;
    } else {
        output::complain("the user has no such session: see `mainstay session ls`");
    }
    Ok(ExitCode::from(u8::from(!revoked)))
}

async fn revoke_all(user: &str, global: &Global) -> Result<ExitCode, Failure> {
    let revoked = open(user, global).await?.revoke_all(user).await?;
    let plural = if revoked == 1 { "" } else { "s" };
    output::answer(
        global.json,
        &json!({ "revoked": revoked }),
        format_args!("{revoked} session{plural} revoked"),
    )?;
    Ok(ExitCode::SUCCESS)
}
