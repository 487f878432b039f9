//! What happens to every request before and after its handler.

mod api_key;
mod grpc;
mod host;
mod observe;
mod timeout;

pub(crate) use api_key::check as check_api_key;
pub(crate) use grpc::translate as translate_for_grpc;
pub(crate) use host::check as check_host;
pub(crate) use observe::{RouteLabel, observe};
pub(crate) use timeout::{limit as limit_time, within};
