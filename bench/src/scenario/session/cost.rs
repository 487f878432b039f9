//! What requests cost besides time.

use mainstay_testkit::fixture::Server;

use crate::Outcome;
use crate::fact::Fact;
use crate::processor;

/// What has been used so far.
pub(super) struct Cost {
    commands: f64,
    process_seconds: f64,
    server_seconds: f64,
}

impl Cost {
    pub(super) async fn so_far(server: &Server, process: u32) -> Outcome<Self> {
        let info = server.command(&["INFO", "stats"]).await;
        let mut lines = info.text().lines();
        let commands = lines.find_map(|line| line.strip_prefix("total_commands_processed:"));
        Ok(Self {
            commands: commands
                .ok_or("no commands in INFO stats")?
                .trim()
                .parse()?,
            process_seconds: processor::of_process(process)?,
            server_seconds: processor::of_server(server).await?,
        })
    }

    /// For each of so many requests since.
    pub(super) fn each(&self, since: &Self, requests: f64) -> Fact {
        let share = |now: f64, then: f64| (now - then) / requests;
        Fact::Request {
            commands: share(self.commands, since.commands),
            process_us: share(self.process_seconds, since.process_seconds) * 1e6,
            server_us: share(self.server_seconds, since.server_seconds) * 1e6,
        }
    }
}
