//! `mainstay limit`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use mainstay::Key;
use mainstay::ratelimit::{Decision, Policy, RetryAfter};
use serde_json::{Value, json};

use crate::arguments::Global;
use crate::failure::Failure;
use crate::output;
use crate::quantity::{for_people, millis};

const EXAMPLES: &str = "\
Examples:
  mainstay limit check api ip:10.0.0.7 --limit 100/1m
  mainstay limit check mail user-42 --limit 10/1h --cost 3 && ./send-three-mails.sh

Exit code 0 when allowed, 1 when denied. The count is shared with every program that uses the
same policy name and subject on the same backend.";

/// Asks a rate limit
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Limit {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Counts one request and tells whether it is allowed
    Check(Check),
}

#[derive(Args)]
#[command(after_help = EXAMPLES)]
struct Check {
    /// The policy's name: letters, digits and . _ - /
    policy: String,
    /// Who or what is limited: an address, a user
    subject: String,
    /// How many in what time
    #[arg(long, value_name = "COUNT/PERIOD")]
    limit: String,
    /// How many this request counts for
    #[arg(long, default_value_t = 1)]
    cost: u64,
}

impl Limit {
    pub(crate) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let Action::Check(check) = self.action;
        let policy: Policy = format!("{}={}", check.policy, check.limit).parse()?;
        let subject = Key::new(&check.subject)?;
        let limiter = global.connect().await?.limiter(policy);
        let decision = limiter.check_cost(subject, check.cost).await?;
        let (value, text) = describe(&decision);
        output::answer(global.json, &value, text)?;
        Ok(ExitCode::from(u8::from(!decision.is_allowed())))
    }
}

fn describe(decision: &Decision) -> (Value, String) {
    let quota = decision.tightest();
    let (limit, remaining, reset_after) = (quota.limit, quota.remaining, quota.reset_after);
    let Some(retry_after) = quota.retry_after else {
        return (
            json!({
                "allowed": true,
                "limit": limit,
                "remaining": remaining,
                "reset_after_ms": millis(reset_after),
            }),
            format!(
                "allowed: {remaining} of {limit} remaining, reset in {}",
                for_people(reset_after)
            ),
        );
    };
    let (retry_after_ms, retry) = match retry_after {
        RetryAfter::After(wait) => (
            Some(millis(wait)),
            format!("retry after {}", for_people(wait)),
        ),
        RetryAfter::Never => (None, "the cost is above the limit".to_owned()),
    };
    (
        json!({
            "allowed": false,
            "limit": limit,
            "remaining": remaining,
            "retry_after_ms": retry_after_ms,
            "reset_after_ms": millis(reset_after),
        }),
        format!("denied: {remaining} of {limit} remaining, {retry}"),
    )
}
