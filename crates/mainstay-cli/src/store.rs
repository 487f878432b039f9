//! Which backend a command talks to.

use mainstay::{Mainstay, Namespace, Options};

use crate::arguments::Global;
use crate::failure::Failure;

const MEMORY: &str = "memory:";

impl Global {
    /// The options that the global flags stand for.
    pub(crate) fn options(&self) -> Result<Options, Failure> {
        let options = Options::new();
        Ok(match &self.namespace {
            Some(text) => options.namespace(Namespace::new(text)?),
            None => options,
        })
    }

    /// The backend's URL: the flag's, else the environment's.
    pub(crate) fn backend_url(&self) -> Result<String, Failure> {
        match self.url.as_deref().filter(|url| !url.is_empty()) {
            Some(url) => Ok(url.to_owned()),
            None => Ok(Mainstay::url_from_env()?),
        }
    }

    /// Connects to a backend that outlives this process.
    pub(crate) async fn connect(&self) -> Result<Mainstay, Failure> {
        let url = self.backend_url()?;
        if url.split(['?', '/']).next() == Some(MEMORY) {
            return Err(Failure::Usage(
                "the memory backend lives inside one process: pass --url redis://host:port or \
                 set MAINSTAY_URL"
                    .to_owned(),
            ));
        }
        Ok(self.options()?.connect(&url).await?)
    }
}
