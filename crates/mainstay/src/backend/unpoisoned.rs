//! Locking a mutex that outlives a panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; a panic of an earlier holder does not take the store down with it.
///
/// No code under these mutexes runs a caller's code, so a panic there leaves at worst one
/// operation undone.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
