//! What the backend says of itself.

use mainstay::backend::Status;

use super::Subject;

pub async fn a_probe_names_the_server(subject: &Subject) {
    let report = subject.stay().health().await.unwrap();
    assert_eq!(report.server, subject.server_name());
    assert!(!report.version.is_empty());
    assert!(report.round_trip < Subject::BOUND);
}

pub async fn a_running_backend_is_up(subject: &Subject) {
    subject.stay().health().await.unwrap();
    assert_eq!(subject.stay().status(), Status::Up);
}
