//! Quantities with their units.

use std::time::Duration;

use serde::Deserialize;

use crate::quantity::{bytes, duration};

/// A duration: `"24h"`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Span(pub(super) Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        duration(&text).map(Self)
    }
}

/// Bytes: `"64MiB"`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Size(pub(super) u64);

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bytes = bytes(&text)?;
        u64::try_from(bytes).map(Self).map_err(|e| e.to_string())
    }
}
