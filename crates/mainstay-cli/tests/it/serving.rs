//! `mainstay serve` as a child.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::program::{Running, on};

/// A started server.
pub(crate) struct Serving {
    pub(crate) running: Running,
    pub(crate) address: String,
    /// The log until it listens.
    pub(crate) seen: String,
    pub(crate) log: BufReader<std::process::ChildStderr>,
}

impl Serving {
    /// Starts it and waits for the line that says where it listens.
    pub(crate) fn start(url: &str, flags: &[&str]) -> Self {
        Self::of(on(
            url,
            &[&["serve", "--listen", "127.0.0.1:0"], flags].concat(),
        ))
    }

    pub(crate) fn of(mut command: Command) -> Self {
        command.stderr(Stdio::piped()).stdout(Stdio::null());
        let mut running = crate::program::adopt(command.spawn().unwrap());
        let mut log = BufReader::new(running.child().stderr.take().unwrap());
        let mut seen = String::new();
        // The address ends at the comma, in a JSON line too.
        loop {
            let start = seen.len();
            assert_ne!(
                log.read_line(&mut seen).unwrap(),
                0,
                "no address in:\n{seen}"
            );
            if let Some((_, rest)) = seen[start..].split_once("listening on http://") {
                let address = rest.split(',').next().unwrap().to_owned();
                return Self {
                    running,
                    address,
                    seen,
                    log,
                };
            }
        }
    }

    /// The status line and body of a request without a body.
    pub(crate) fn get(&self, path: &str, header: &str) -> String {
        let address = &self.address;
        let mut stream = TcpStream::connect(address).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Sends a signal and waits for a line of the log that holds this.
    pub(crate) fn signal_until(&mut self, name: &str, expected: &str) {
        self.running.signal(name);
        self.log_until(expected);
    }

    /// Waits for a line of the log that holds this.
    pub(crate) fn log_until(&mut self, expected: &str) {
        loop {
            let mut line = String::new();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "no {expected:?}");
            if line.contains(expected) {
                return;
            }
        }
    }

    /// The answer to a request with a JSON body.
    pub(crate) fn post(&self, path: &str, body: &str) -> String {
        let address = &self.address;
        let mut stream = TcpStream::connect(address).unwrap();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Ends it with a signal; its exit code and the rest of its log.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        self.running.signal("TERM");
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (self.running.end().code, rest)
    }
}
