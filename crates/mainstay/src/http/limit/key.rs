//! Whom a request counts for.

use http::request::Parts;

/// Tells whom a request counts for; `None` where it does not say.
pub trait RequestKey: Send + Sync + 'static {
    /// The subject.
    fn key(&self, request: &Parts) -> Option<String>;
}

impl<F: Fn(&Parts) -> Option<String> + Send + Sync + 'static> RequestKey for F {
    fn key(&self, request: &Parts) -> Option<String> {
        self(request)
    }
}

/// The value of a header, such as an API key. It is for who has checked it: whoever may write what it
/// likes is limited by nothing.
pub fn header_key(name: &'static str) -> impl RequestKey {
    move |request: &Parts| {
        let value = request.headers.get(name)?;
        value.to_str().ok().map(str::to_owned)
    }
}
