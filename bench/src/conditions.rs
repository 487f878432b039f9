//! On what a run was made.

use std::process::Command;
use std::thread::available_parallelism;

use crate::Outcome;
use crate::measure::Plan;

/// One sentence: processor, system, server, compiler, length.
pub(crate) fn describe(plan: &Plan) -> Outcome<String> {
    let processor = std::fs::read_to_string("/proc/cpuinfo")?;
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("processor of unknown model", |(_, model)| model);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let kernel = kernel.split(['-', '+']).next().unwrap_or(&kernel).trim();
    let server = first_line(Command::new("redis-server").arg("--version"))?;
    let server = server
        .split_whitespace()
        .find_map(|word| word.strip_prefix("v="))
        .ok_or("redis-server --version names no version")?
        .to_owned();
    let compiler = first_line(Command::new("rustc").arg("--version"))?;
    let compiler = compiler.split(" (").next().unwrap_or(&compiler).to_owned();
    Ok(format!(
        "{} cores of {processor}, Linux {kernel}, Redis {server} on the same machine, {compiler}, \
         {} rounds of {} s.",
        available_parallelism()?,
        plan.rounds,
        plan.seconds
    ))
}

fn first_line(command: &mut Command) -> Outcome<String> {
    let output = String::from_utf8(command.output()?.stdout)?;
    Ok(output.lines().next().unwrap_or_default().to_owned())
}
