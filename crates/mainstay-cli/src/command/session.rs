//! `mainstay session`.

mod view;

use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use mainstay::Key;
use mainstay::session::Sessions;
use serde_json::{Value, json};

use crate::arguments::Global;
use crate::failure::Failure;
use crate::{output, secret};

/// Sessions among which `show` looks.
const LOOKED_AT: usize = 10_000;

/// Characters of a hash.
const HASH_CHARS: usize = 32;

const EXAMPLES: &str = "\
Examples:
  mainstay session ls ann
  mainstay session show ann Zk3V0rJmX2q1...
  mainstay session revoke ann --session Zk3V0rJmX2q1...
  mainstay session revoke ann --all
  mainstay session ls ann --secret-file session.secret

A session's hash names it but cannot be used to log in.

Where a program, or `mainstay serve`, gives its sessions a secret, they are found with the same one
only: without it, or with another, a user seems to have none. --secret-file names a file with it,
whose last line break does not count; by default it is taken from MAINSTAY_SESSION_SECRET.

Exit codes: 0 done, 1 there is no such session, 2 an error.";

/// Lists, shows and revokes the sessions of a user
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Session {
    /// File with the secret of the program whose sessions these are; by default that of
    /// `MAINSTAY_SESSION_SECRET`, or none
    #[arg(long, global = true, value_name = "FILE")]
    secret_file: Option<PathBuf>,
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
    /// Tells what is known of one session of a user, of the 10,000 that end last
    Show {
        /// The user
        user: String,
        /// The session's hash, as `session ls` shows it
        #[arg(value_parser = id_hash, allow_hyphen_values = true)]
        id_hash: String,
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
    #[arg(long, value_name = "ID_HASH", value_parser = id_hash, allow_hyphen_values = true)]
    session: Option<String>,
}

impl Session {
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let Self {
            secret_file,
            action,
        } = &self;
        let (Action::Ls { user } | Action::Show { user, .. } | Action::Revoke { user, .. }) =
            action;
        // Before anything else: what is wrong here needs no backend.
        Key::new(user.as_str())?;
        let secret = match secret_file {
            Some(path) => Some(secret::from_file(path)?),
            None => secret::from_env()?,
        };
        let mut sessions = global.connect().await?.sessions::<Value>();
        if let Some(secret) = &secret {
            sessions = sessions.secret(secret.expose());
        }
        let sessions = sessions.build()?;
        match action {
            Action::Ls { user } => list(&sessions, user, global).await,
            Action::Show { user, id_hash } => show(&sessions, user, id_hash, global).await,
            Action::Revoke { user, which } => match &which.session {
                Some(id_hash) => revoke_one(&sessions, user, id_hash, global).await,
                None => revoke_all(&sessions, user, global).await,
            },
        }
    }
}

/// Reads a hash, so that a slip is not taken for a session that has ended.
fn id_hash(text: &str) -> Result<String, String> {
    if text.len() == HASH_CHARS && URL_SAFE_NO_PAD.decode(text).is_ok() {
        return Ok(text.to_owned());
    }
    Err(format!(
        "expected the hash of a session: {HASH_CHARS} characters of base64url, as `session ls` shows it"
    ))
}

async fn list(
    sessions: &Sessions<Value>,
    user: &str,
    global: &Global,
) -> Result<ExitCode, Failure> {
    let listed = sessions.list(user).await?;
    if global.json {
        let sessions: Vec<Value> = listed.iter().map(view::value).collect();
        output::line(json!({ "sessions": sessions }))?;
    } else {
        output::line(view::table(&listed))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(
    sessions: &Sessions<Value>,
    user: &str,
    id_hash: &str,
    global: &Global,
) -> Result<ExitCode, Failure> {
    let listed = sessions.list_up_to(user, LOOKED_AT).await?;
    let found = listed.iter().find(|listed| listed.id_hash == id_hash);
    match found {
        _ if global.json => output::line(json!({ "session": found.map(view::value) }))?,
        Some(listed) => output::line(view::text(listed))?,
        None => complain_of_none(),
    }
    Ok(ExitCode::from(u8::from(found.is_none())))
}

async fn revoke_one(
    sessions: &Sessions<Value>,
    user: &str,
    id_hash: &str,
    global: &Global,
) -> Result<ExitCode, Failure> {
    let revoked = sessions.revoke_listed(user, id_hash).await?;
    if global.json {
        output::line(json!({ "revoked": u8::from(revoked) }))?;
    } else if revoked {
        output::line("1 session revoked")?;
    } else {
        complain_of_none();
    }
    Ok(ExitCode::from(u8::from(!revoked)))
}

fn complain_of_none() {
    output::complain("the user has no such session: see `mainstay session ls`");
}

async fn revoke_all(
    sessions: &Sessions<Value>,
    user: &str,
    global: &Global,
) -> Result<ExitCode, Failure> {
    let revoked = sessions.revoke_all(user).await?;
    let plural = if revoked == 1 { "" } else { "s" };
    output::answer(
        global.json,
        &json!({ "revoked": revoked }),
        format_args!("{revoked} session{plural} revoked"),
    )?;
    Ok(ExitCode::SUCCESS)
}
