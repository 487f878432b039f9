//! `mainstay cache invalidate`.

use std::process::ExitCode;

use clap::Args;
use mainstay::{Key, Name};
use serde_json::json;

use super::open;
use crate::arguments::Global;
use crate::failure::Failure;
use crate::output;

/// What is to be made invalid
#[derive(Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub(super) struct Invalidate {
    /// The cache: letters, digits and . _ - /
    cache: String,
    /// An entry (repeatable)
    #[arg(long = "key", value_name = "KEY", group = "what")]
    keys: Vec<String>,
    /// Every entry that carries this tag (repeatable)
    #[arg(long = "tag", value_name = "TAG", group = "what")]
    tags: Vec<String>,
    /// Every entry of the cache
    #[arg(long, group = "what")]
    all: bool,
}

impl Invalidate {
    pub(super) async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        let name = Name::new(&self.cache)?;
        for text in self.keys.iter().chain(&self.tags) {
            Key::new(text)?;
        }
        let cache = open(&name, global).await?;
        cache.invalidate_tags(&self.tags).await?;
        let mut removed = 0_u64;
        for key in &self.keys {
            removed += u64::from(cache.remove(key).await?);
        }
        if self.all {
            cache.clear().await?;
        }
        let answer = json!({
            "keys": self.keys.len(), "removed": removed, "tags": self.tags.len(), "all": self.all,
        });
        let text = if self.all {
            format!("every entry of cache {name} is invalid")
        } else {
            format!(
                "{removed} of {} entries removed, {} tags invalidated",
                self.keys.len(),
                self.tags.len()
            )
        };
        output::answer(global.json, &answer, text)?;
        Ok(ExitCode::SUCCESS)
    }
}
