//! What a request says, or the problem with it.

mod body;
mod duration;
mod each;
mod json;
mod merge_patch;
mod path;
mod query;

pub(crate) use body::read;
pub(crate) use duration::duration;
pub(crate) use each::OneOrEach;
pub(crate) use json::{JsonBody, content_type, parse};
pub(crate) use merge_patch::{MergePatch, NotAnObject};
pub(crate) use path::{segment, verb};
pub(crate) use query::Query;
