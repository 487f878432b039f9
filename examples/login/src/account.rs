//! Who may log in.

use std::collections::HashMap;

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, PasswordHash};

/// Users and the hashes of their passwords.
pub(crate) struct Accounts {
    hashes: HashMap<&'static str, String>,
    /// Checked for users that there are not, which then take as long.
    nobody: String,
}

impl Accounts {
    pub(crate) fn sample() -> Self {
        let users = [("ada", "correct horse"), ("bob", "battery staple")];
        let hashes = users.map(|(user, password)| (user, hash(password)));
        Self {
            hashes: hashes.into(),
            nobody: hash("nobody's password"),
        }
    }

    /// Whether the password is the user's. Takes a while, whoever it is.
    pub(crate) fn is_right(&self, user: &str, password: &str) -> bool {
        let hash = self.hashes.get(user).unwrap_or(&self.nobody);
        let is_right = PasswordHash::new(hash).is_ok_and(|hash| {
            let password = password.as_bytes();
            Argon2::default().verify_password(password, &hash).is_ok()
        });
        is_right && self.hashes.contains_key(user)
    }
}

fn hash(password: &str) -> String {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.expect("invariant: the default parameters are valid")
        .to_string()
}
