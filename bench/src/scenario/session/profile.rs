//! What is in every session.

use serde::{Deserialize, Serialize};

/// Who is logged in and as what; about 100 bytes as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Profile {
    pub(super) user: String,
    pub(super) tenant: String,
    pub(super) role: String,
    pub(super) theme: String,
}

/// The same without the user, for a library that knows whose a session is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) tenant: String,
    pub(super) role: String,
    pub(super) theme: String,
}

impl Profile {
    pub(super) fn of(user: &str) -> Self {
        let Claims {
            tenant,
            role,
            theme,
        } = Claims::usual();
        Self {
            user: user.to_owned(),
            tenant,
            role,
            theme,
        }
    }

    /// A user's name, of the same length for all.
    pub(super) fn user(number: usize) -> String {
        format!("user-{number:06}")
    }
}

impl Claims {
    pub(super) fn usual() -> Self {
        Self {
            tenant: "acme-manufacturing-europe".to_owned(),
            role: "administrator".to_owned(),
            theme: "dark".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Profile;

    #[test]
    fn a_profile_is_about_100_bytes() {
        let json = serde_json::to_string(&Profile::of(&Profile::user(7))).unwrap();
        assert_eq!(
            json,
            r#"{"user":"user-000007","tenant":"acme-manufacturing-europe","role":"administrator","theme":"dark"}"#
        );
        assert_eq!(json.len(), 97);
    }
}
