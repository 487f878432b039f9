//! Re-exports the attribute macro with its documentation.

/// Puts a [`Cache`](crate::cache::Cache) before an `async fn`: the body runs only when the cache
/// has no value.
///
/// The body becomes the loader of [`get_or_load`](crate::cache::Cache::get_or_load), with all that
/// it promises: callers that come meanwhile share one run, and a caller that is dropped stops
/// nothing. How long values are kept, tags and near copies are set where the cache is built.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use mainstay::Mainstay;
/// use mainstay::cache::Cache;
///
/// static RUNS: AtomicU32 = AtomicU32::new(0);
///
/// #[mainstay::cached(cache = prices, key = [shop, sku])]
/// async fn price(prices: &Cache<u32>, shop: String, sku: u64) -> mainstay::Result<u32> {
///     RUNS.fetch_add(1, Ordering::Relaxed);
///     Ok(if shop == "north" { 1990 } else { 2090 })
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mainstay::Result<()> {
/// let prices = Mainstay::memory().cache::<u32>("prices").build()?;
/// assert_eq!(price(&prices, "north".to_owned(), 7).await?, 1990);
/// assert_eq!(price(&prices, "north".to_owned(), 7).await?, 1990);
/// assert_eq!(RUNS.load(Ordering::Relaxed), 1);
///
/// assert!(prices.remove(mainstay::key!["north", 7]?).await?);
/// assert_eq!(price(&prices, "north".to_owned(), 7).await?, 1990);
/// assert_eq!(RUNS.load(Ordering::Relaxed), 2);
/// # Ok(())
/// # }
/// ```
///
/// # Arguments
/// - `cache = …`: an expression that is a [`Cache`](crate::cache::Cache) or dereferences to one,
///   such as `self.users`, an argument or a static.
/// - `key = …`: a part, or parts in brackets, of the key; each implements `Display`. They are
///   joined by [`key!`](crate::key!), which is what to call for removing an entry. **Name all
///   that the value depends on**: a missing tenant hands one tenant's data to another. A part that
///   is a [`Key`](crate::Key) is escaped again. One value in all has a key like `"all"`.
/// - `optional`: the function returns `Result<Option<T>, E>`, and that there is no value is
///   remembered too, as by
///   [`get_or_load_optional`](crate::cache::Cache::get_or_load_optional).
/// - `with(name = …, …)`: what else the body gets; see below.
///
/// # What the body can use
/// The loader may outlive the call, so the body owns what it uses. Arguments that are taken by
/// value move into it; `&self` and other references cannot. `with` hands over clones under names
/// of their own, evaluated one after the other at each call, hits included: clone handles and no
/// data. A `self: Arc<Self>`, or any other argument that is taken by value, serves both the cache
/// and the body.
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::Arc;
///
/// use mainstay::cache::Cache;
///
/// struct Users {
///     names: Arc<HashMap<u64, String>>,
///     cache: Cache<String>,
/// }
///
/// impl Users {
///     #[mainstay::cached(cache = self.cache, key = id, optional, with(names = self.names.clone()))]
///     async fn name(&self, id: u64) -> mainstay::Result<Option<String>> {
///         Ok(names.get(&id).cloned())
///     }
///
///     #[mainstay::cached(cache = self.cache, key = id)]
///     async fn name_or_id(self: Arc<Self>, id: u64) -> mainstay::Result<String> {
///         Ok(self.names.get(&id).cloned().unwrap_or_else(|| id.to_string()))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mainstay::Result<()> {
/// let users = Arc::new(Users {
///     names: Arc::new(HashMap::from([(7, "Ada".to_owned())])),
///     cache: mainstay::Mainstay::memory().cache("users").build()?,
/// });
/// assert_eq!(users.name(7).await?.as_deref(), Some("Ada"));
/// assert_eq!(users.name(8).await?, None);
/// assert_eq!(Arc::clone(&users).name_or_id(9).await?, "9");
/// # Ok(())
/// # }
/// ```
///
/// The value and all that the body uses are `Send + 'static`, and the value is `Clone + Sync`.
/// `impl Trait` cannot be cached. The body of an `#[async_trait]` method is no `async fn` by the
/// time it is looked at: let the method call a function that is cached.
///
/// # Errors
/// The function returns `Result<T, E>`, where
/// `E: From<mainstay::Error> + Into<Box<dyn Error + Send + Sync>> + 'static`: an error of
/// your own, [`mainstay::Error`](crate::Error), `anyhow::Error`, `Box<dyn Error + Send + Sync>`.
///
/// An `E` of the body goes to every caller that shared the run, so it comes back as the source of
/// a [`mainstay::Error`](crate::Error) of the kind [`Loader`](crate::ErrorKind::Loader), made into
/// an `E` once more. `From` is the place to look inside:
///
/// ```
/// use mainstay::cache::Cache;
///
/// #[derive(Debug, Clone, PartialEq, thiserror::Error)]
/// enum PriceError {
///     #[error("not for sale")]
///     NotForSale,
///     #[error("no answer")]
///     NoAnswer,
/// }
///
/// impl From<mainstay::Error> for PriceError {
///     fn from(error: mainstay::Error) -> Self {
///         let source = std::error::Error::source(&error);
///         let own = source.and_then(|source| source.downcast_ref::<Self>());
///         own.cloned().unwrap_or(Self::NoAnswer)
///     }
/// }
///
/// #[mainstay::cached(cache = prices, key = sku)]
/// async fn price(prices: &Cache<u32>, sku: String) -> Result<u32, PriceError> {
///     Err(PriceError::NotForSale)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> mainstay::Result<()> {
/// let prices = mainstay::Mainstay::memory().cache("prices").build()?;
/// let error = price(&prices, "sku-1".to_owned()).await.unwrap_err();
/// assert_eq!(error, PriceError::NotForSale);
/// # Ok(())
/// # }
/// ```
///
/// A caller in another process that waited for the run gets the error's text, not the error.
pub use mainstay_macros::cached;
