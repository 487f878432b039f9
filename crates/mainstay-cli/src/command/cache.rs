//! `mainstay cache`.

mod invalidate;
mod stats;

use std::io::{self, Read};
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use clap::{Args, Subcommand};
use mainstay::cache::EntryOptions;
use mainstay::codec::Raw;
use mainstay::{Key, Name, Ttl};
use serde_json::json;

use self::invalidate::Invalidate;
use crate::arguments::Global;
use crate::failure::Failure;
use crate::{output, quantity};

const EXAMPLES: &str = "\
Examples:
  mainstay cache set prices sku-1 9.90 --ttl 1h
  curl -s https://example.com/rates.json | mainstay cache set prices rates
  mainstay cache get prices sku-1
  mainstay cache del prices sku-1
  mainstay cache set prices sku-1 9.90 --tag shoes
  mainstay cache invalidate prices --tag shoes --key sku-2
  mainstay cache stats prices

Values are bytes, the same that the HTTP API stores and answers.";

/// Reads and writes cache entries
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Cache {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Prints the value as it is; exit code 1 when there is none
    Get {
        #[command(flatten)]
        entry: Entry,
    },
    /// Stores a value
    Set {
        #[command(flatten)]
        entry: Entry,
        /// The value; without it, standard input
        value: Option<String>,
        /// How long it is kept
        #[arg(long, default_value = "5m", value_parser = quantity::duration)]
        #[arg(allow_hyphen_values = true)]
        ttl: Duration,
        /// A tag to invalidate it by (repeatable)
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
    },
    /// Removes an entry; exit code 1 when there was none
    Del {
        #[command(flatten)]
        entry: Entry,
    },
    /// Makes entries invalid: by key, by tag, or all of them
    Invalidate(Invalidate),
    /// Prints what all processes have counted; exit code 1 when nothing is known
    Stats {
        /// The cache: letters, digits and . _ - /
        cache: String,
    },
}

#[derive(Args)]
struct Entry {
    /// The cache: letters, digits and . _ - /
    cache: String,
    /// The key: up to 1024 bytes of text
    key: String,
}

impl Entry {
    /// Finds bad input before anything is connected.
    fn check(&self) -> Result<(Name, Key), Failure> {
        Ok((Name::new(&self.cache)?, Key::new(&self.key)?))
    }
}

impl Cache {
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        match self.action {
            Action::Get { entry } => get(&entry, global).await,
            Action::Set {
                entry,
                value,
                ttl,
                tags,
            } => set(&entry, value, ttl, tags, global).await,
            Action::Del { entry } => del(&entry, global).await,
            Action::Invalidate(asked) => asked.run(global).await,
            Action::Stats { cache } => stats::print(&cache, global).await,
        }
    }
}

async fn open(name: &Name, global: &Global) -> Result<mainstay::cache::Cache<Bytes>, Failure> {
    let stay = global.connect().await?;
    Ok(stay.cache::<Bytes>(name.as_str()).codec(Raw).build()?)
}

async fn get(entry: &Entry, global: &Global) -> Result<ExitCode, Failure> {
    let (name, key) = entry.check()?;
    let found = open(&name, global).await?.entry(key).await?;
    let Some(found) = found else {
        if global.json {
            output::line(json!({ "hit": false }))?;
        } else {
            output::complain(format_args!("cache {name} has no such key"));
        }
        return Ok(ExitCode::from(1));
    };
    if global.json {
        let (field, text) = match std::str::from_utf8(&found.value) {
            Ok(text) => ("value", text.to_owned()),
            Err(_) => ("value_base64", BASE64.encode(&found.value)),
        };
        output::line(json!({
            "hit": true,
            field: text,
            "age_ms": quantity::millis(found.age),
            "ttl_ms": quantity::millis(found.ttl_left),
        }))?;
    } else {
        output::bytes(&found.value)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn set(
    entry: &Entry,
    value: Option<String>,
    ttl: Duration,
    tags: Vec<String>,
    global: &Global,
) -> Result<ExitCode, Failure> {
    let (name, key) = entry.check()?;
    let ttl = Ttl::new(ttl)?.as_duration();
    let options = EntryOptions::new().ttl(ttl);
    let options = tags.into_iter().fold(options, EntryOptions::tag);
    let value = match value {
        Some(text) => text.into_bytes(),
        None => read_input()?,
    };
    let cache = open(&name, global).await?;
    cache.set_with(key, &Bytes::from(value), options).await?;
    if global.json {
        output::line(json!({ "ttl_ms": quantity::millis(ttl) }))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn del(entry: &Entry, global: &Global) -> Result<ExitCode, Failure> {
    let (name, key) = entry.check()?;
    let removed = open(&name, global).await?.remove(key).await?;
    if global.json {
        output::line(json!({ "removed": removed }))?;
    } else if !removed {
        output::complain(format_args!("cache {name} had no such key"));
    }
    Ok(ExitCode::from(u8::from(!removed)))
}

fn read_input() -> Result<Vec<u8>, Failure> {
    let mut input = Vec::new();
    io::stdin()
        .read_to_end(&mut input)
        .map_err(|source| Failure::io("cannot read the value from standard input", source))?;
    Ok(input)
}
