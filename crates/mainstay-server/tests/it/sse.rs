//! Reads server-sent events frame by frame.

use reqwest::Response;
use serde_json::Value;
use tokio::time::timeout;

use crate::server::BOUND;

pub(crate) struct Frames {
    response: Response,
    buffer: String,
}

impl Frames {
    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        Self {
            response,
            buffer: String::new(),
        }
    }

    /// The next frame without its blank line; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((frame, _)) = self.buffer.split_once("\n\n") {
                let frame = frame.to_owned();
                self.buffer.drain(..frame.len() + 2);
                return Some(frame);
            }
            let chunk = timeout(BOUND, self.response.chunk()).await;
            let chunk = chunk.expect("a frame comes").unwrap()?;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next frame, which must be there.
    pub(crate) async fn expect(&mut self) -> String {
        self.next().await.expect("the stream goes on")
    }
}

/// The value of a field of a frame.
pub(crate) fn field<'a>(frame: &'a str, name: &str) -> Option<&'a str> {
    frame
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

pub(crate) fn data(frame: &str) -> Value {
    serde_json::from_str(field(frame, "data").unwrap()).unwrap()
}
